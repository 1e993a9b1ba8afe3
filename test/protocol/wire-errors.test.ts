import { describe, expect, test } from 'vitest';
import { ERROR_CODES, SealiftError, type ErrorCode } from '../../src/errors.ts';
import { MAX_RETRY_AFTER_MS } from '../../src/protocol/limits.ts';
import {
  endsStream,
  errorFields,
  errorFromFields,
  isWireErrorCode,
  WIRE_ERRORS,
} from '../../src/protocol/wire-errors.ts';
import { FRAME_FIELDS } from './frames.ts';
import { literals, rowNames, specTables, specText } from './spec.ts';

const wireCodes = Object.keys(WIRE_ERRORS) as (keyof typeof WIRE_ERRORS)[];

describe('SPEC.md', () => {
  const [errors] = specTables('Errors');
  const [, faults] = specTables('Messages');

  test('lists every error code of the wire with what it means for the peer, and no other', () => {
    const listed = (errors ?? []).map(([code, retryable, ends]) => [literals(code)[0], { retryable, ends }]);
    const known = wireCodes.map((code) => [
      code,
      { retryable: yesNo(new SealiftError(code, '').retryable), ends: yesNo(endsStream(code)) },
    ]);
    expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(known));
    expect(listed).toHaveLength(known.length);
  });

  test('says for each code that ends the stream which fault leads to it', () => {
    expect(new Set((faults ?? []).flatMap(([, code]) => literals(code)))).toEqual(
      new Set(wireCodes.filter(endsStream)),
    );
  });

  test('mentions no code that is met on one side of the connection only', () => {
    // A word may be both: the reason of a local failure and something else on the wire.
    const words = new Set(literals(specText()));
    expect(ERROR_CODES.filter((code) => !isWireErrorCode(code) && words.has(code))).toEqual([]);
    expect(rowNames(errors).filter((code) => !ERROR_CODES.includes(code as ErrorCode))).toEqual([]);
  });
});

test('a code is one of the wire or not, whatever objects inherit', () => {
  expect(isWireErrorCode('not-found')).toBe(true);
  expect(isWireErrorCode('source-changed')).toBe(false);
  expect(isWireErrorCode('toString' as ErrorCode)).toBe(false);
  expect(endsStream('source-changed')).toBe(false);
});

describe('what a peer is told of an error', () => {
  test('everything that is meant for it', () => {
    const error = new SealiftError('locked', 'Somebody else holds the lease.', {
      retryAfterMs: 1_500.2,
      details: { upload: 'u1', index: 3 },
    });
    expect(errorFields(error)).toEqual({
      status: 'error',
      code: 'locked',
      message: 'Somebody else holds the lease.',
      retryable: true,
      'retry-after-ms': 1_501,
      upload: 'u1',
      index: 3,
    });
  });

  test('neither its cause, nor its hint, nor its stack', () => {
    const error = new SealiftError('not-found', 'Nothing is there.', {
      cause: new Error('/srv/data'),
      hint: 'Look elsewhere.',
    });
    expect(errorFields(error)).toEqual({
      status: 'error',
      code: 'not-found',
      message: 'Nothing is there.',
      retryable: false,
    });
  });

  test('no detail can stand in for the code and its like', () => {
    const details = { status: 'ok', code: 'exists', message: 'x', retryable: true };
    expect(errorFields(new SealiftError('not-found', 'Nothing is there.', { details }))).toMatchObject({
      status: 'error',
      code: 'not-found',
      message: 'Nothing is there.',
      retryable: false,
    });
  });

  test.each([
    [
      'an error of Node',
      Object.assign(new Error("ENOENT: no such file, open '/srv/data'"), { code: 'ENOENT' }),
    ],
    [
      'an error of this side only',
      new SealiftError('local-file', '/srv/data is gone.', { details: { path: '/srv/data' } }),
    ],
    ['something that is no error', '/srv/data'],
  ])('%s is a bare internal', (_, error) => {
    const fields = errorFields(error);
    expect(fields).toMatchObject({ status: 'error', code: 'internal', retryable: true });
    expect(JSON.stringify(fields)).not.toContain('/srv');
  });
});

describe('what is made of an error that a peer reports', () => {
  test.each(wireCodes)('%s comes back as it was sent', (code) => {
    const sent = new SealiftError(code, 'One sentence.', {
      retryAfterMs: 5,
      details: { etag: 'e', index: 0, partial: true, supported: [1, 2], names: ['a'] },
    });
    const read = errorFromFields({ ...FRAME_FIELDS, id: 1, ...errorFields(sent) });
    expect({ ...read }).toEqual({ ...sent });
    expect(read.message).toBe(sent.message);
  });

  test('the judgement of the peer on retrying counts', () => {
    expect(errorFromFields({ code: 'not-found', retryable: true }).retryable).toBe(true);
    expect(errorFromFields({ code: 'busy', retryable: false }).retryable).toBe(false);
    expect(errorFromFields({ code: 'busy', retryable: 'no' }).retryable).toBe(true);
  });

  test.each([
    [0, 0],
    [MAX_RETRY_AFTER_MS, MAX_RETRY_AFTER_MS],
    [MAX_RETRY_AFTER_MS + 1, MAX_RETRY_AFTER_MS],
    [Infinity, MAX_RETRY_AFTER_MS],
    [-1, undefined],
    ['1000', undefined],
    [undefined, undefined],
  ])('retry-after-ms %j is taken for %j', (given, taken) => {
    expect(errorFromFields({ code: 'busy', 'retry-after-ms': given }).retryAfterMs).toBe(taken);
  });

  test.each(['brand-new', 'source-changed', 'toString'])(
    'the code %s, which is none of the wire, is internal and named',
    (code) => {
      const error = errorFromFields({ code, message: 'Why.' });
      expect(error).toMatchObject({ code: 'internal', message: `${code}: Why.` });
    },
  );

  test.each([undefined, null, 7, ['busy'], { toString: 1, valueOf: 1 }])(
    'a code that is no text (%j) is internal',
    (code) => {
      expect(errorFromFields({ code, message: 'Why.' })).toMatchObject({ code: 'internal', message: 'Why.' });
    },
  );

  test.each([undefined, '', 7])('the message %j gets words of our own', (message) => {
    expect(errorFromFields({ code: 'busy', message }).message).toBe('The server gave no reason.');
  });

  test('details are plain values and lists of them', () => {
    const header = {
      code: 'busy',
      text: 'a',
      none: null,
      object: { a: 1 },
      numbers: [1],
      mixed: [1, 'a'],
      objects: [{}],
      empty: [],
    };
    expect(errorFromFields(header).details).toEqual({ text: 'a', numbers: [1], empty: [] });
  });
});

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}
