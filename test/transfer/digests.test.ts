import { describe, expect, test } from 'vitest';
import {
  blockDigest,
  DIGEST_ALGORITHMS,
  DIGEST_BYTES,
  fileDigest,
  formatBlockDigest,
  parseBlockDigest,
  smallFileDigest,
} from '../../src/transfer/digests.ts';

// The published values of both functions, for no bytes and for "abc".
const known = {
  sha256: {
    '': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    abc: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  },
  blake3: {
    '': 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
    abc: '6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85',
  },
} as const;

describe.each(DIGEST_ALGORITHMS)('%s', (algorithm) => {
  test.each(Object.entries(known[algorithm]))('of %j', (text, hex) => {
    const raw = blockDigest(algorithm, Buffer.from(text));
    expect(raw.length).toBe(DIGEST_BYTES);
    expect(formatBlockDigest(algorithm, raw)).toBe(`${algorithm}:${hex}`);
  });

  test('a file digest hashes the raw block digests in their order', () => {
    const parts = [blockDigest(algorithm, Buffer.from('a')), blockDigest(algorithm, Buffer.from('b'))];
    const hashed = (...digests: Buffer[]) =>
      `${algorithm}-1m:${blockDigest(algorithm, Buffer.concat(digests)).toString('hex')}`;
    expect(fileDigest(algorithm, parts)).toBe(hashed(...parts));
    expect(fileDigest(algorithm, parts.toReversed())).toBe(hashed(...parts.toReversed()));
    expect(fileDigest(algorithm, [])).toBe(`${algorithm}-1m:${known[algorithm]['']}`);
    // A file of one block does not have the digest of that block.
    expect(fileDigest(algorithm, [blockDigest(algorithm, Buffer.from('abc'))])).not.toContain(
      known[algorithm].abc,
    );
  });

  test('the digest of a small file is that over its one block, and over none if it is empty', () => {
    const raw = blockDigest(algorithm, Buffer.from('abc'));
    expect(smallFileDigest(algorithm, 3, raw)).toBe(fileDigest(algorithm, [raw]));
    const empty = blockDigest(algorithm, Buffer.alloc(0));
    expect(smallFileDigest(algorithm, 0, empty)).toBe(fileDigest(algorithm, []));
  });

  test('the written forms are read back', () => {
    const raw = blockDigest(algorithm, Buffer.from('abc'));
    expect(parseBlockDigest(formatBlockDigest(algorithm, raw))).toEqual({ algorithm, raw });
  });
});

const hex = known.sha256.abc;

test.each([
  '',
  hex,
  `sha256-1m:${hex}`,
  `sha256:${hex.toUpperCase()}`,
  `sha256:${hex}0`,
  `sha256:${hex.slice(1)}`,
  `md5:${hex}`,
  `xsha256:${hex}`,
  `sha256:${hex}\n`,
])('%j is no block digest', (text) => expect(parseBlockDigest(text)).toBeUndefined());
