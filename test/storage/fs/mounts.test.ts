import { describe, expect, onTestFinished, test } from 'vitest';

import { mountPoints, systemFiles } from '../../../src/storage/fs/file-system.ts';
import { assertNothingMounted } from '../../../src/storage/fs/mounts.ts';
import { Tree } from '../../../src/storage/fs/tree.ts';
import { codeOf } from '../../contract/store/samples.ts';

const names = (await mountPoints()).filter((point) => /^\/[^/]+$/.test(point)).map((point) => point.slice(1));

describe.skipIf(names.length === 0)('where the root of this machine is served', () => {
  // No store is opened there, and nothing is removed: only what keeps it from that is asked.
  test('what is mounted in it is not removed', async () => {
    const tree = await Tree.open(systemFiles, '/');
    onTestFinished(() => tree.close());
    for (const name of names)
      expect(await codeOf(tree.at(name, (place) => assertNothingMounted(systemFiles, place, name)))).toBe(
        'unsupported',
      );
  });

  test('nothing is made in it, also in a directory that is open since something was read', async () => {
    const tree = await Tree.open(systemFiles, '/');
    onTestFinished(() => tree.close());
    const nothing = () => Promise.resolve();
    for (const name of names)
      await tree.keepingLast(async () => {
        await tree.at(`${name}/any`, nothing);
        expect(await codeOf(tree.atMaking(`${name}/any`, { isDurable: false }, nothing))).toBe('unsupported');
      });
  });
});
