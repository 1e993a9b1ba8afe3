import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { isChange } from '../../../src/client/tree/action.ts';
import { contentsAt, plantTree, type Planted } from '../../support/planted-tree.ts';
import { temporaryDirectory, tokenOf, usersToml } from '../../support/test-server.ts';
import { MIB, noise, startSetting } from '../setting.ts';
import { copy, startTrees, WAYS } from './tree-setting.ts';

const SOURCE = {
  same: 'same',
  file: 'new',
  'd/large': noise(2 * MIB, 2),
  link: { link: 'new' },
  'place/x': 'x',
};
const TARGET = {
  same: 'same',
  file: { content: 'old', mtimeMs: 1, mode: 0o600 },
  'd/large': { content: noise(2 * MIB, 1), mtimeMs: 1 },
  'd/extra': 'extra',
  'extra/deep': 'deep',
  link: { link: 'old' },
  place: { link: 'old' },
};
const KEPT = ['d/', 'd/extra', 'd/large', 'extra/', 'extra/deep', 'file', 'link', 'place'];

describe.each(WAYS)('%s: what is replaced or removed', (way) => {
  test.each(['beside the tree', 'in it', 'deep in it'])('is kept %s', async (where) => {
    const trees = await startTrees(way, SOURCE, TARGET);
    const before = await contentsAt(trees.target);
    const place = where === 'beside the tree' ? 'backup' : where === 'in it' ? 'tree/old' : 'tree/d/old/er';
    const onDisk =
      where === 'beside the tree' ? join(trees.target, '..', 'backup') : join(trees.target, place.slice(5));
    const backupDirectory = way === 'put' ? place : onDisk;
    const { told, isComplete } = await copy(trees.direction({ backupDirectory }));
    expect([told.failed, isComplete]).toEqual([{}, true]);
    const backup = await contentsAt(onDisk);
    expect(backup).toEqual(Object.fromEntries(KEPT.map((path) => [path, before[path]])));
    const after = Object.entries(await contentsAt(trees.target)).filter(
      ([path]) => !/(^|\/)old\//.test(path),
    );
    expect(Object.fromEntries(after)).toEqual(await contentsAt(trees.source));

    // The backup is no part of the tree, and stays.
    const again = await copy(trees.direction({ backupDirectory }));
    expect([again.told.failed, again.actions.filter(({ kind }) => kind === 'delete')]).toEqual([{}, []]);
    expect(await contentsAt(onDisk)).toEqual(backup);
  });

  test('is kept of a tree that is a single file', async () => {
    const trees = await startTrees(way, undefined);
    await writeFile(trees.source, 'new');
    await writeFile(trees.target, 'older');
    const onDisk = join(trees.target, '..', 'backup');
    await copy(trees.direction({ backupDirectory: way === 'put' ? 'backup' : onDisk }));
    expect(Object.values(await contentsAt(onDisk))).toEqual(['older']);
  });

  test('does not make a file of the source one of the backup', async () => {
    const trees = await startTrees(
      way,
      { 'old/file': 'evil', file: 'new' },
      { file: { content: 'old', mtimeMs: 1 } },
    );
    const backupDirectory = way === 'put' ? 'tree/old' : join(trees.target, 'old');
    const { told } = await copy(trees.direction({ backupDirectory }));
    expect(told.failed).toEqual({ old: 'bad-name', 'old/file': 'bad-name' });
    expect(await contentsAt(trees.target)).toEqual({ file: 'new', 'old/': '', 'old/file': 'old' });
  });
});

test('an older backup of the same name is replaced', async () => {
  for (const way of WAYS) {
    const trees = await startTrees(way, { file: 'v2' }, { file: { content: 'v1', mtimeMs: 1 } });
    const onDisk = join(trees.target, '..', 'backup');
    const backupDirectory = way === 'put' ? 'backup' : onDisk;
    await copy(trees.direction({ backupDirectory }));
    await plantTree(trees.source, { file: { content: 'v3', mtimeMs: 5 } });
    const { actions } = await copy(trees.direction({ backupDirectory }));
    expect(actions.filter(isChange)).not.toEqual([]);
    expect(await contentsAt(onDisk)).toEqual({ file: 'v2' });
  }
});

describe.each(WAYS)('%s: an earlier backup that has the name as something else', (way) => {
  test.each<[name: string, target: Record<string, Planted>, backup: Record<string, Planted>]>([
    ['a directory', { 'd.x': 'now' }, { 'd.x/a': 'then', 'd-1.x': 'another' }],
    ['a file', { 'd/e/a': 'now', 'd/e/b': 'now' }, { 'd/e': 'then', 'd-1/e/b': 'another' }],
    ['a link', { 'd/a': 'now' }, { d: { link: 'elsewhere' } }],
    ['a directory, of a link', { d: { link: 'now' } }, { 'd/a': 'then' }],
  ])('stays, and what is kept now gets a free name: %s', async (_, target, backup) => {
    const trees = await startTrees(way, { other: 'other' }, target);
    const onDisk = join(trees.target, '..', 'backup');
    await plantTree(onDisk, backup);
    const [now, then] = [await contentsAt(trees.target), await contentsAt(onDisk)];
    const { told } = await copy(trees.direction({ backupDirectory: way === 'put' ? 'backup' : onDisk }));
    expect(told.failed).toEqual({});
    expect(await contentsAt(trees.target)).toEqual({ other: 'other' });
    const after = await contentsAt(onDisk);
    expect(after).toMatchObject(then);
    const kept = Object.entries(after).filter(([path]) => !(path in then));
    const found = kept
      .filter(([path]) => !path.endsWith('/'))
      .map(([path, is]) => [path.replace(/-\d/, ''), is]);
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(Object.entries(now).filter(([path]) => !path.endsWith('/'))),
    );
  });
});

describe('what the server then has no place for', () => {
  /** A tree on a server with room for so many files, to be replaced with a backup. */
  async function fullServer(
    quotaFiles: number,
    source: Record<string, Planted>,
    target: Record<string, Planted>,
  ) {
    const token = tokenOf('alice');
    const usersFile = join(await temporaryDirectory(), 'users.toml');
    const limits = `quota-files = ${quotaFiles}`;
    await writeFile(usersFile, usersToml({ alice: { limits } }), { mode: 0o600 });
    const setting = await startSetting({}, { usersFile });
    const trees = await startTrees('put', source, target, { setting });
    const connector = setting.connector({ token });
    const direction = trees.direction({ connector, backupDirectory: 'backup' });
    return { setting, trees, direction, backup: join(trees.target, '../backup') };
  }
  const OLD = { content: 'old', mtimeMs: 1 };

  test('leaves what it was to replace where it was', async () => {
    const source = { file: 'new', large: noise(2 * MIB, 2), link: { link: 'new' } };
    const target = {
      file: OLD,
      large: { content: noise(2 * MIB, 1), mtimeMs: 1 },
      link: { link: 'old' },
    };
    // The tree with the three of it, and the directory of the backup.
    const { trees, direction, backup } = await fullServer(5, source, target);
    const before = await contentsAt(trees.target);
    const { told } = await copy(direction);
    const refused = 'quota-exceeded';
    expect(told.failed).toEqual({ file: refused, large: refused, link: refused });
    expect(await contentsAt(trees.target)).toEqual(before);
    expect(await contentsAt(backup)).toEqual({});
  });

  test('leaves it there also where the answer to its backup was lost', async () => {
    const { setting, trees, direction, backup } = await fullServer(3, { file: 'new' }, { file: OLD });
    const onBegin = () => {
      setting.proxy.faults = { cut: { afterBytes: 0, direction: 'down', mode: 'fin', times: 1 } };
      return Promise.resolve();
    };
    const { told } = await copy(direction, { run: { onBegin } });
    expect(told.failed).toEqual({ file: 'quota-exceeded' });
    expect(await contentsAt(trees.target)).toEqual({ file: 'old' });
    expect(await contentsAt(backup)).toEqual({});
  });

  test('brings no older backup into the place of what is gone meanwhile', async () => {
    const source = { file: 'new', link: { link: 'new' } };
    const target = { file: OLD, link: { link: 'old' } };
    // The tree, and the backup with the two of it.
    const { trees, direction, backup } = await fullServer(4, source, target);
    const older = { file: 'older', link: { link: 'older' } };
    await plantTree(backup, older);
    const onBegin = async () => {
      for (const name of Object.keys(older)) await rm(join(trees.target, name));
    };
    const { told } = await copy(direction, { run: { onBegin } });
    expect(told.failed).toEqual({ file: 'quota-exceeded', link: 'quota-exceeded' });
    expect(await contentsAt(trees.target)).toEqual({});
    expect(await contentsAt(backup)).toEqual({ file: 'older', link: '-> older' });
  });
});
