import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ERROR_CODES, SealiftError } from '../../src/errors.ts';
import { wireName } from '../../src/protocol/fields.ts';
import { parseHeader, type Header } from '../../src/protocol/header.ts';
import { MAX_RETRY_AFTER_MS } from '../../src/protocol/limits.ts';
import { parseRequest, REQUESTS } from '../../src/protocol/requests.ts';
import { readListEntry, readListing } from '../../src/protocol/responses.ts';
import { errorFromFields, isWireErrorCode } from '../../src/protocol/wire-errors.ts';
import { FRAME_FIELDS } from '../protocol/frames.ts';
import { holds } from '../support/properties.ts';

// Whatever a peer puts into a header that is sound as JSON: the reader gives an answer or an error of ours.

const actions = Object.keys(REQUESTS);
const fieldNames = [...new Set(Object.values(REQUESTS).flatMap((shape) => Object.keys(shape).map(wireName)))];
const anyValue = fc.oneof(fc.jsonValue(), fc.constantFrom(...actions, 'a/b', '..', 'sha256', 1, 2 ** 53, -1));
const anyHeader = fc
  .tuple(
    fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...actions) }, { weight: 1, arbitrary: anyValue }),
    fc.dictionary(
      fc.constantFrom('id', 'code', 'message', 'retryable', 'retry-after-ms', ...fieldNames),
      anyValue,
      { maxKeys: 12 },
    ),
  )
  .map(([action, fields]): Header => ({ ...fields, ...FRAME_FIELDS, action }));

test('any request is understood or refused with a code that lets the connection go on', async (context) => {
  const refusals = new Set(['bad-request', 'unsupported', 'bad-name', 'unknown-upload', 'too-large']);
  await holds(
    context,
    fc.property(anyHeader, (header) => {
      const code = codeOrNothing(() => parseRequest(header));
      expect(code === undefined || refusals.has(code)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('any error answer becomes an error with a code of the wire and a pause within bounds', async (context) => {
  await holds(
    context,
    fc.property(anyHeader, fc.oneof(fc.constantFrom(...ERROR_CODES), anyValue), (header, code) => {
      const error = errorFromFields({ ...header, code });
      expect(isWireErrorCode(error.code)).toBe(true);
      expect(error.retryAfterMs ?? 0).toBeGreaterThanOrEqual(0);
      expect(error.retryAfterMs ?? 0).toBeLessThanOrEqual(MAX_RETRY_AFTER_MS);
    }),
  );
});

test('any bytes in place of a listing are read, or break the protocol', async (context) => {
  const listing = fc.oneof(
    fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((text) => Buffer.from(text)),
    fc.array(fc.jsonValue(), { maxLength: 3 }).map((entries) => Buffer.from(JSON.stringify({ entries }))),
  );
  await holds(
    context,
    fc.property(listing, (content) => {
      const code = codeOrNothing(() => readListing(content, 'entries', readListEntry));
      expect([undefined, 'protocol-violation']).toContain(code);
    }),
  );
});

test('any bytes are a sound header, or a bad one', async (context) => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 100 }).map((array) => Buffer.from(array)),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .dictionary(fc.constantFrom(...Object.keys(FRAME_FIELDS)), fc.jsonValue())
      .map((fields) => Buffer.from(JSON.stringify({ ...FRAME_FIELDS, ...fields }))),
  );
  await holds(
    context,
    fc.property(bytes, (array) => {
      expect([undefined, 'bad-header']).toContain(codeOrNothing(() => parseHeader(array)));
    }),
  );
});

/** The code of the error of ours that `action` throws, if it throws one; anything else it throws fails the property. */
function codeOrNothing(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof SealiftError) return error.code;
    throw error;
  }
}
