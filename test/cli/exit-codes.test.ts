import { describe, expect, test } from 'vitest';
import { combinedExitCode, EXIT, exitCodeOf } from '../../src/cli/exit-codes.ts';
import { ERROR_CODES, SealiftError, type ErrorCode } from '../../src/errors.ts';

// Scripts rely on these numbers, so they stand here a second time.
const BY_EXIT_CODE: Record<number, readonly ErrorCode[]> = {
  1: [
    'bad-frame',
    'bad-header',
    'header-too-large',
    'content-too-large',
    'bad-request',
    'unsupported',
    'unsupported-version',
    'is-directory',
    'not-directory',
    'not-empty',
    'internal',
    'cancelled',
    'local-file',
    'protocol-violation',
  ],
  2: ['bad-name', 'usage', 'invalid-argument', 'bad-configuration'],
  4: ['not-found', 'local-not-found'],
  5: ['unauthenticated', 'forbidden'],
  6: [
    'certificate-untrusted',
    'certificate-expired',
    'certificate-not-yet-valid',
    'certificate-wrong-name',
    'pin-mismatch',
    'tls-refused',
    'alpn-refused',
  ],
  7: ['name-not-resolved', 'connection-refused', 'unreachable', 'connect-timeout', 'not-tls'],
  8: [
    'timeout',
    'unknown-upload',
    'incomplete',
    'busy',
    'rate-limited',
    'shutting-down',
    'connection-lost',
    'stalled',
    'retries-exhausted',
  ],
  9: ['digest-mismatch'],
  10: ['exists', 'precondition-failed', 'local-exists'],
  11: ['too-large', 'quota-exceeded', 'no-space', 'local-no-space'],
  12: ['locked', 'superseded'],
  13: ['empty-source', 'too-many-deletions'],
  15: ['condition-failed'],
  16: ['source-changed'],
  130: ['aborted'],
};
const PAIRS = Object.entries(BY_EXIT_CODE).flatMap(([exit, codes]) =>
  codes.map((code) => [code, Number(exit)] as const),
);

test.each(PAIRS)('%s is exit code %i', (code, exit) => {
  expect(exitCodeOf(new SealiftError(code, 'no'), false)).toBe(exit);
});

test('every error code is in the table', () => {
  expect(PAIRS.map(([code]) => code).sort()).toEqual([...ERROR_CODES].sort());
});

test('the numbers by name', () => {
  expect(Object.values(EXIT)).toEqual([...new Array(17).keys(), 130, 143]);
});

describe('once there was a connection', () => {
  test.each((BY_EXIT_CODE[7] ?? []).filter((code) => code !== 'not-tls'))(
    '%s is "connected, then gave up"',
    (code) => {
      expect(exitCodeOf(new SealiftError(code, 'no'), true)).toBe(8);
    },
  );

  test('everything else stays what it is', () => {
    expect(exitCodeOf(new SealiftError('pin-mismatch', 'no'), true)).toBe(6);
  });
});

test.each([
  ['connection-refused', false, 7],
  ['connection-refused', true, 8],
  ['digest-mismatch', true, 9],
  ['locked', true, 12],
  ['nonsense of a later version', true, 8],
])('retries exhausted over %s, connected: %s, is %i', (lastCode, hasConnected, exit) => {
  expect(
    exitCodeOf(new SealiftError('retries-exhausted', 'no', { details: { lastCode } }), hasConnected),
  ).toBe(exit);
});

test.each([
  ['nothing failed', [], 3, 0],
  ['all failed for one reason', [4, 4], 0, 4],
  ['all failed, for two reasons', [4, 5], 0, 3],
  ['one of several failed', [4], 1, 3],
])('%s: %j and %i successes', (_, failures, successes, exit) => {
  expect(combinedExitCode(failures, successes)).toBe(exit);
});
