import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { treeFilter } from '../../../src/client/tree/tree-filter.ts';
import { failureOf } from '../../support/failure.ts';
import { contentsAt } from '../../support/planted-tree.ts';
import { MIB, noise } from '../setting.ts';
import { copy, startTrees, WAYS } from './tree-setting.ts';

const large = noise(2 * MIB + 5);
const TREE = { a: 'a', large, z: 'z' };
const OLD = { large: { content: 'old', mtimeMs: 1 }, extra: 'extra' };

describe('a file that is written to while it is sent', () => {
  /** Sends the tree; the large file grows each time one of its blocks has been read, so many times. */
  async function sendWriting(times: number, onChange: 'retry' | 'skip' | 'fail') {
    const trees = await startTrees('put', TREE, OLD);
    let writes = 0;
    const throttle = (bytes: number) => {
      if (bytes === MIB && (writes += 1) <= times) appendFileSync(join(trees.source, 'large'), 'more');
      return Promise.resolve();
    };
    const run = await copy(trees.direction({ throttle }), { run: { onChange } });
    const [source, target] = [await contentsAt(trees.source), await contentsAt(trees.target)];
    return { ...run, source, target };
  }

  test('is read anew, and arrives as it was in the end', async () => {
    const { told, isComplete, source, target } = await sendWriting(1, 'retry');
    expect([told.failed, isComplete]).toEqual([{}, true]);
    expect(target).toEqual(source);
    expect(target['large']).toMatch(/^2097161 bytes/);
  });

  test('fails if it never stands still, and the old one stays', async () => {
    const { told, source, target } = await sendWriting(Infinity, 'retry');
    expect(told.failed).toEqual({ large: 'source-changed' });
    expect(target).toEqual({ a: 'a', z: 'z', large: 'old', extra: 'extra' });
    expect(source['large']).toMatch(/bytes/);
  });

  test('is passed over, if that is asked for, and is then no failure', async () => {
    const { told, isComplete, target } = await sendWriting(1, 'skip');
    expect([told.failed, told.skipped, isComplete]).toEqual([{}, { large: 'changed' }, true]);
    expect(target).toEqual({ a: 'a', z: 'z', large: 'old' });
  });

  test('fails at once, if that is asked for', async () => {
    const { told, target } = await sendWriting(1, 'fail');
    expect(told.failed).toEqual({ large: 'source-changed' });
    expect(target).toMatchObject({ large: 'old', extra: 'extra' });
  });
});

describe.each(WAYS)('%s: a file that is gone when it is to be read', (way) => {
  test.each(['fail', 'skip'] as const)('%s', async (onVanish) => {
    const trees = await startTrees(way, TREE, OLD);
    const { told, isComplete } = await copy(trees.direction(), {
      run: { onVanish },
      observer: {
        onAction: ({ entry }) => {
          if (entry.path !== '') rmSync(join(trees.source, 'large'), { force: true });
        },
      },
    });
    const target = await contentsAt(trees.target);
    expect(isComplete).toBe(onVanish === 'skip');
    if (onVanish === 'skip') {
      expect(told.skipped).toEqual({ large: 'vanished' });
      expect(target).toEqual({ a: 'a', z: 'z', large: 'old' });
    } else {
      expect(told.failed).toEqual({ large: way === 'put' ? 'local-not-found' : 'not-found' });
      expect(target).toEqual({ a: 'a', z: 'z', large: 'old', extra: 'extra' });
    }
  });
});

// In /proc, which only Linux has, every file has no size, and a content when it is read.
test.runIf(process.platform === 'linux')(
  'put: a file of which the system tells less than there is fails, and is not the same as an empty one',
  async () => {
    const trees = await startTrees('put', {}, { boot_id: '' });
    const direction = trees.direction({ root: '/proc/sys/kernel/random' });
    const bootId = { path: 'boot_id', type: 'file', size: 0, mtimeMs: 0, mode: 0o444 } as const;
    const compared = await failureOf(direction.hasSameContent(bootId, bootId));
    expect(compared.code).toBe('local-file');
    const filter = treeFilter({ files: ['boot_id', 'uuid'] });
    const { told } = await copy(direction, { plan: { filter }, rules: { compare: 'never', delete: false } });
    expect(told.failed).toEqual({ boot_id: 'local-file', uuid: 'local-file' });
    expect(await contentsAt(trees.target)).toEqual({ boot_id: '' });
  },
);

test.each(WAYS)('%s: a file that has another size by now arrives as it is', async (way) => {
  const trees = await startTrees(way, { grows: 'x', 'is-cut': noise(3 * MIB), large });
  const { told } = await copy(trees.direction(), {
    observer: {
      onAction: ({ entry }) => {
        if (entry.path !== '') return;
        writeFileSync(join(trees.source, 'grows'), noise(2 * MIB, 7));
        writeFileSync(join(trees.source, 'is-cut'), 'short');
      },
    },
  });
  expect(told.failed).toEqual({});
  expect(await contentsAt(trees.target)).toEqual(await contentsAt(trees.source));
});

test.each(WAYS)(
  '%s: a file that appeared at the target meanwhile is not replaced, if none should be',
  async (way) => {
    for (const skipsExisting of [true, false]) {
      const trees = await startTrees(way, TREE, {});
      const { told } = await copy(trees.direction({ mustBeNew: true }), {
        run: { skipsExisting },
        observer: {
          onAction: ({ entry }) => {
            if (entry.path === 'a')
              for (const name of ['large', 'z']) writeFileSync(join(trees.target, name), 'theirs');
          },
        },
      });
      const code = way === 'put' ? 'exists' : 'local-exists';
      if (skipsExisting) expect(told.skipped).toEqual({ large: 'exists', z: 'exists' });
      else expect(told.failed).toEqual({ large: code, z: code });
      expect(await contentsAt(trees.target)).toEqual({ a: 'a', large: 'theirs', z: 'theirs' });
    }
  },
);
