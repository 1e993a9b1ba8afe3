import { SealiftError, systemCode } from '../errors.ts';

/** That a connection is gone, by an error of the system or by what the peer did. */
export function lostConnection(cause?: unknown): SealiftError {
  const code = cause instanceof SealiftError ? undefined : systemCode(cause);
  return new SealiftError(
    'connection-lost',
    `The connection was lost${code === undefined ? '' : ` (${code})`}.`,
    { cause },
  );
}
