import { registerHooks } from 'node:module';
import { afterAll, expect, test } from 'vitest';

let tries = 0;
const hooks = registerHooks({
  resolve: (name, context, next) => {
    if (name !== '@napi-rs/blake-hash') return next(name, context);
    tries++;
    throw new Error('no such package');
  },
});
afterAll(() => hooks.deregister());

const { blockDigest, fileDigest, isBlake3Available, preferredAlgorithm } =
  await import('../../src/transfer/digests.ts');

test('a program that hashes nothing does not load the package for BLAKE3', () => {
  expect(tries).toBe(0);
});

test('where it does not load, SHA-256 is preferred, and works', () => {
  expect(isBlake3Available()).toBe(false);
  expect(preferredAlgorithm()).toBe('sha256');
  expect(blockDigest('sha256', Buffer.from('abc')).toString('hex')).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});

test('BLAKE3 is unsupported then, and loading is not tried again for each block', () => {
  const unsupported = expect.objectContaining({ code: 'unsupported', cause: new Error('no such package') });
  expect(() => blockDigest('blake3', Buffer.from('abc'))).toThrow(unsupported);
  expect(() => fileDigest('blake3', [])).toThrow(unsupported);
  expect(tries).toBe(1);
});
