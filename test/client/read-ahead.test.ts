import { expect, test } from 'vitest';

import type { BlockSource } from '../../src/client/block-source.ts';
import { upload } from '../../src/client/upload.ts';
import { SealiftError } from '../../src/errors.ts';
import { startScriptedServer } from '../support/scripted-server.ts';
import { connectorTo, failureOf, MIB, NEVER, noise, startSetting } from './setting.ts';

/** Three blocks, of which is counted how often each is read. */
function countedSource(block = (index: number) => Promise.resolve(noise(MIB, index))) {
  const reads = [0, 0, 0];
  const source: BlockSource = {
    size: 3 * MIB,
    mtimeMs: 0,
    mode: 0o644,
    isRepeatable: true,
    block(index) {
      if (index >= reads.length) return Promise.resolve(undefined);
      reads[index] = (reads[index] ?? 0) + 1;
      return block(index);
    },
    release: () => undefined,
    assertUnchanged: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return { source, reads };
}

test('a source that cannot be read is told while the server is still taking digests, and the server need not go on', async () => {
  const cancelled = Promise.withResolvers<void>();
  const { address, pin } = await startScriptedServer({
    put: () => Promise.resolve(),
    cancel: () => Promise.resolve(cancelled.resolve()),
  });
  const unreadable = new SealiftError('local-file', 'It cannot be read.');
  const { source } = countedSource(() => Promise.reject(unreadable));
  const uploading = upload(connectorTo(address, pin), source, 'file', { base: 'existing', retry: NEVER });
  expect(await failureOf(uploading)).toBe(unreadable);
  await cancelled.promise;
});

test('of what the server cannot hold yet nothing is read twice', async () => {
  const { connector } = await startSetting();
  const { source, reads } = countedSource();
  await upload(connector(), source, 'file');
  expect(reads).toEqual([1, 1, 1]);
});

test('the next block is read while one is hashed', async () => {
  const { connector } = await startSetting();
  const asked = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
  const { source } = countedSource(async (index) => {
    asked[index]?.resolve();
    await asked[index + 1]?.promise;
    return noise(MIB, index);
  });
  const { receipt } = await upload(connector(), source, 'file');
  expect(receipt.size).toBe(3 * MIB);
});
