import { isDiskFull, SealiftError, systemCode } from '../errors.ts';

/** The error for a file of ours that could not be read or written: `local-no-space`, else `local-file`. */
export function localFileError(verb: 'read' | 'write' | 'lock', path: string, cause: unknown): SealiftError {
  const reason = systemCode(cause);
  const code = isDiskFull(cause) ? 'local-no-space' : 'local-file';
  const explained = reason === undefined ? '' : ` (${reason})`;
  return new SealiftError(code, `Cannot ${verb} ${path}${explained}.`, { cause });
}
