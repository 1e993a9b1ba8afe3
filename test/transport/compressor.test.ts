import { describe, expect, test } from 'vitest';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';

import { Compressor } from '../../src/transport/compressor.ts';
import { chooseEncoding } from '../../src/transport/content-encoding.ts';
import { noise } from '../client/setting.ts';

const text = Buffer.alloc(100_000, 'of these words there are many, ');
const DECODERS = { zstd: zstdDecompressSync, gzip: gunzipSync };

describe.each(['zstd', 'gzip'] as const)('%s', (encoding) => {
  test('what shrinks travels shorter', async () => {
    const { content, contentEncoding, decodedLength } = await new Compressor(encoding).compress(text);
    expect({ contentEncoding, decodedLength }).toEqual({
      contentEncoding: encoding,
      decodedLength: text.length,
    });
    expect(content.length).toBeLessThan(text.length / 10);
    expect(DECODERS[encoding](content).equals(text)).toBe(true);
  });

  test.each([
    ['noise', noise(100_000)],
    ['noise with a little text', Buffer.concat([noise(99_000), text.subarray(0, 1_000)])],
    ['little', text.subarray(0, 100)],
    ['one byte', Buffer.from('x')],
    ['nothing', Buffer.alloc(0)],
  ])('%s travels as it is', async (_, bytes) => {
    expect(await new Compressor(encoding).compress(bytes)).toEqual({ content: bytes });
  });

  test('a part of it that shrinks is enough', async () => {
    const bytes = Buffer.concat([noise(90_000), text.subarray(0, 10_000)]);
    expect((await new Compressor(encoding).compress(bytes)).content.length).toBeLessThan(95_000);
  });
});

test('after some that did not shrink only one of sixteen is tried, until one does', async () => {
  const compressor = new Compressor('zstd');
  const shrinks = async (bytes: Buffer) => (await compressor.compress(bytes)).contentEncoding !== undefined;
  for (let i = 0; i < 4; i += 1) expect(await shrinks(noise(10_000, i))).toBe(false);
  const tried = await Array.fromAsync({ length: 20 }, () => shrinks(text));
  expect(tried).toEqual([...new Array<boolean>(15).fill(false), ...new Array<boolean>(5).fill(true)]);
});

test('without an encoding everything stays as it is', async () => {
  const compressor = new Compressor(undefined);
  expect(compressor.isActive).toBe(false);
  expect(await compressor.compress(text)).toEqual({ content: text });
});

test.each([
  [['gzip', 'zstd'], 'zstd'],
  [['br', 'gzip'], 'gzip'],
  [['br', 'identity', 'ZSTD', '__proto__'], undefined],
  [[], undefined],
])('to a peer that decodes %j go contents in %s', (offered, chosen) => {
  expect(chooseEncoding(offered)).toBe(chosen);
});
