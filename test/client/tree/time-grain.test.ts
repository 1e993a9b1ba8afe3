import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { planSync } from '../../../src/client/tree/plan-tree.ts';
import { PutTree } from '../../../src/client/tree/put-tree.ts';
import { localTimeGrain } from '../../../src/client/tree/time-grain.ts';
import { MemoryStore } from '../../../src/storage/memory-store.ts';
import { certificatePin } from '../../../src/trust/pins.ts';
import { loopbackCertificate } from '../../support/certificates.ts';
import { file } from '../../support/memory-direction.ts';
import { contentsAt, plantTree, setTime } from '../../support/planted-tree.ts';
import { putInline } from '../../support/raw-upload.ts';
import { startTestServer, temporaryDirectory, tokenOf } from '../../support/test-server.ts';
import { connectorTo } from '../setting.ts';
import { copy, kinds, PLAN, startTrees, SYNC, WAYS } from './tree-setting.ts';

/** An even second, which FAT could keep as well. */
const WHOLE = 1_790_000_000_000;

test.each(WAYS)('%s: a change within a second of times that happen to be whole is sent', async (way) => {
  const before = { '/': { mtimeMs: WHOLE }, a: { content: 'old', mtimeMs: WHOLE } };
  for (const laterMs of [5, 500, 1_500]) {
    const changed = { ...before, a: { content: 'new', mtimeMs: WHOLE + laterMs } };
    const trees = await startTrees(way, changed, before);
    expect((await copy(trees.direction())).told.done).toEqual(['file a']);
    expect(await contentsAt(trees.target)).toEqual({ a: 'new' });
  }
});

test.each([
  ['one that a server could have', 1_000, 999, []],
  ['beyond it', 1_000, 1_000, ['file a']],
  ['coarser than any, which is not believed', 86_400_000, 2_000, ['file a']],
])('a change within the grain of a server: %s', async (_, timeGrainMs, laterMs, expected) => {
  class CoarseStore extends MemoryStore {
    override readonly features = {
      symlinks: true,
      distinguishesCase: true,
      distinguishesForms: true,
      timeGrainMs,
      versions: false,
    };
  }
  const { address, login } = await startTestServer({ store: new CoarseStore() });
  const content = Buffer.from('same');
  await putInline(await login(), 'tree/a', content, { 'mtime-ms': WHOLE });
  const root = await plantTree(join(await temporaryDirectory(), 'tree'), { a: { content } });
  await setTime(join(root, 'a'), WHOLE + laterMs);
  const pin = certificatePin(new X509Certificate((await loopbackCertificate()).cert));
  const connector = connectorTo(address, pin, { token: tokenOf('tester') });
  await using direction = new PutTree({ connector, root, top: 'tree', archive: false });
  const actions = await planSync(direction, { ...PLAN, rules: { ...SYNC, archive: false } });
  expect(kinds(actions).filter((kind) => kind.endsWith(' a') && !kind.startsWith('skip'))).toEqual(expected);
});

test('a local target is taken to keep less than milliseconds only if the system itself keeps less there', () => {
  const [fine, coarse] = [1_790_000_000_123_456_789n, 1_790_000_000_120_000_000n];
  const target = (mtimeMs: number) => new Map([['a', file('a', 'x', { mtimeMs })]]);
  expect(localTimeGrain(fine, target(WHOLE))).toBe(1);
  expect(localTimeGrain(undefined, new Map())).toBe(1);
  expect(localTimeGrain(coarse, target(WHOLE))).toBe(2_000);
  expect(localTimeGrain(coarse, target(WHOLE + 1_000))).toBe(1_000);
  expect(localTimeGrain(coarse, target(WHOLE + 10))).toBe(10);
  // One time that it could not keep shows that it keeps them all.
  expect(localTimeGrain(coarse, target(WHOLE + 1))).toBe(1);
});
