import type { SealiftError } from '../errors.ts';
import { isErrorCode, type ErrorCode } from '../errors.ts';

/** What scripts rely on. A number never changes its meaning. */
export const EXIT = {
  done: 0,
  failure: 1,
  usage: 2,
  partial: 3,
  notFound: 4,
  refused: 5,
  trust: 6,
  cannotConnect: 7,
  gaveUp: 8,
  integrity: 9,
  exists: 10,
  noSpace: 11,
  locked: 12,
  safetyRail: 13,
  nothingTransferred: 14,
  requirement: 15,
  sourceChanged: 16,
  interrupted: 130,
  terminated: 143,
} as const;

const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  'bad-frame': EXIT.failure,
  'bad-header': EXIT.failure,
  'header-too-large': EXIT.failure,
  'content-too-large': EXIT.failure,
  timeout: EXIT.gaveUp,
  'bad-request': EXIT.failure,
  unsupported: EXIT.failure,
  'unsupported-version': EXIT.failure,
  'bad-name': EXIT.usage,
  unauthenticated: EXIT.refused,
  forbidden: EXIT.refused,
  'not-found': EXIT.notFound,
  exists: EXIT.exists,
  'is-directory': EXIT.failure,
  'not-directory': EXIT.failure,
  'not-empty': EXIT.failure,
  'precondition-failed': EXIT.exists,
  'unknown-upload': EXIT.gaveUp,
  incomplete: EXIT.gaveUp,
  'digest-mismatch': EXIT.integrity,
  locked: EXIT.locked,
  'too-large': EXIT.noSpace,
  'quota-exceeded': EXIT.noSpace,
  'no-space': EXIT.noSpace,
  busy: EXIT.gaveUp,
  'rate-limited': EXIT.gaveUp,
  'shutting-down': EXIT.gaveUp,
  internal: EXIT.failure,
  cancelled: EXIT.failure,
  superseded: EXIT.locked,
  usage: EXIT.usage,
  'invalid-argument': EXIT.usage,
  'bad-configuration': EXIT.usage,
  'local-file': EXIT.failure,
  'local-not-found': EXIT.notFound,
  'local-exists': EXIT.exists,
  'local-no-space': EXIT.noSpace,
  'source-changed': EXIT.sourceChanged,
  'empty-source': EXIT.safetyRail,
  'too-many-deletions': EXIT.safetyRail,
  'name-not-resolved': EXIT.cannotConnect,
  'connection-refused': EXIT.cannotConnect,
  unreachable: EXIT.cannotConnect,
  'connect-timeout': EXIT.cannotConnect,
  'certificate-untrusted': EXIT.trust,
  'certificate-expired': EXIT.trust,
  'certificate-not-yet-valid': EXIT.trust,
  'certificate-wrong-name': EXIT.trust,
  'pin-mismatch': EXIT.trust,
  'not-tls': EXIT.cannotConnect,
  'tls-refused': EXIT.trust,
  'alpn-refused': EXIT.trust,
  'condition-failed': EXIT.requirement,
  'connection-lost': EXIT.gaveUp,
  stalled: EXIT.gaveUp,
  'protocol-violation': EXIT.failure,
  'retries-exhausted': EXIT.gaveUp,
  aborted: EXIT.interrupted,
};

/** The exit code for `error`. `hasConnected`: whether TCP to the server ever stood in this run. */
export function exitCodeOf(error: SealiftError, hasConnected: boolean): number {
  const { lastCode } = error.details;
  const code =
    error.code === 'retries-exhausted' && isErrorCode(lastCode)
      ? EXIT_CODES[lastCode]
      : EXIT_CODES[error.code];
  // Once there was a connection, whatever then could not be reached any more is "connected, then gave up".
  return code === EXIT.cannotConnect && hasConnected && error.code !== 'not-tls' ? EXIT.gaveUp : code;
}

/** The exit code for several operations of which some failed: partial, or the one reason that all failed for. */
export function combinedExitCode(failures: readonly number[], successes: number): number {
  const [first] = failures;
  if (first === undefined) return EXIT.done;
  return successes === 0 && failures.every((code) => code === first) ? first : EXIT.partial;
}
