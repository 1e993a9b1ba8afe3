import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SealiftError } from '../../src/errors.ts';
import { MessageDecoder, type Message } from '../../src/protocol/decoder.ts';
import { encodeMessage } from '../../src/protocol/encoder.ts';
import { endsStream } from '../../src/protocol/wire-errors.ts';
import { holds } from '../support/properties.ts';

const scalar = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
  fc.boolean(),
  fc.constant(null),
);
const value = fc.oneof(
  scalar,
  fc.array(scalar, { maxLength: 3 }),
  fc.record({ inner: fc.array(scalar, { maxLength: 3 }) }),
);
const outgoing = fc.record({
  fields: fc.dictionary(fc.stringMatching(/^x-[a-z]{1,8}$/), value, { maxKeys: 8, noNullPrototype: true }),
  content: fc.uint8Array({ maxLength: 200 }),
  contentType: fc.constantFrom('text/json', 'application/octet-stream', 'image/png'),
  contentEncoding: fc.constantFrom('utf-8', 'binary', 'zstd'),
});
/** Places to cut at, as parts of the whole, so that they suit streams of any length. */
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 });

test.for([
  ['from memory of their own', false],
  ['from memory that is used again', true],
] as const)(
  'any messages, cut anywhere, come out as they went in, %s',
  async ([, chunksAreLent], context) => {
    await holds(
      context,
      fc.property(fc.array(outgoing, { maxLength: 5 }), cuts, (messages, places) => {
        const chunks = cut(Buffer.concat(messages.map(encodeMessage)), places);
        const { delivered, error } = decode(chunks, chunksAreLent);
        expect(error).toBeUndefined();
        expect(delivered.map(({ header, content }) => ({ header, content: [...content] }))).toEqual(
          messages.map(({ fields, content, contentType, contentEncoding }) => ({
            header: {
              byteorder: expect.stringMatching(/^(little|big)$/),
              'content-length': content.length,
              'content-type': contentType,
              'content-encoding': contentEncoding,
              ...fields,
            },
            content: [...content],
          })),
        );
      }),
    );
  },
);

test('any bytes are taken or refused, and the same however they are cut', async (context) => {
  await holds(
    context,
    fc.property(fc.uint8Array({ maxLength: 400 }), cuts, (bytes, places) =>
      isSound(Buffer.from(bytes), places),
    ),
  );
});

test('so are messages of which some bytes were changed', async (context) => {
  const damage = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), {
    minLength: 1,
    maxLength: 4,
  });
  await holds(
    context,
    fc.property(
      fc.array(outgoing, { minLength: 1, maxLength: 3 }),
      damage,
      cuts,
      (messages, changes, places) => {
        const bytes = Buffer.concat(messages.map(encodeMessage));
        for (const [place, byte] of changes) bytes[Math.floor(place * (bytes.length - 1))] = byte;
        isSound(bytes, places);
      },
    ),
  );
});

/** Whatever the bytes: what is delivered is whole, what is refused has a code, and cutting changes neither. */
function isSound(bytes: Buffer, places: number[]): void {
  const whole = decode([bytes]);
  const parts = decode(cut(bytes, places));
  expect(parts.delivered).toEqual(whole.delivered);
  expect(parts.error?.code).toBe(whole.error?.code);
  for (const { header, content } of whole.delivered) expect(content.length).toBe(header['content-length']);
  if (whole.error) expect(endsStream(whole.error.code)).toBe(true);
}

function decode(chunks: Buffer[], chunksAreLent = false): { delivered: Message[]; error?: SealiftError } {
  const decoder = new MessageDecoder({ chunksAreLent });
  const delivered: Message[] = [];
  try {
    for (const chunk of chunks) {
      const given = Buffer.from(chunk);
      decoder.push(given, (message) => delivered.push(message));
      if (chunksAreLent) given.fill(0xff);
    }
  } catch (error) {
    // Anything but an error of ours would be a crash, and fails the property.
    if (error instanceof SealiftError) return { delivered, error };
    throw error;
  }
  return { delivered };
}

function cut(bytes: Buffer, places: number[]): Buffer[] {
  const offsets = places.map((place) => Math.floor(place * bytes.length)).sort((a, b) => a - b);
  return [0, ...offsets].map((start, i) => bytes.subarray(start, offsets[i] ?? bytes.length));
}
