import { rmSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { CliHome, SEALIFT, type ServeProcess } from '../support/cli.ts';
import { canMountFolding, FoldingDisk } from '../support/folding-disk.ts';
import { contentsAt, plantTree, type Planted } from '../support/planted-tree.ts';
import { events } from '../support/running-process.ts';

describe.skipIf(!canMountFolding)('a local target to which names are one that differ in case', () => {
  const home = new CliHome();
  let disk: FoldingDisk;
  /** One that keeps dots and spaces at the end of names. */
  let keeping: FoldingDisk;
  let server: ServeProcess;
  let count = 0;

  beforeAll(async () => {
    disk = await FoldingDisk.mount();
    keeping = await FoldingDisk.mount({ keepsEnds: true });
    server = await home.serve();
  });
  beforeEach(() => {
    for (const each of [disk, keeping])
      for (const name of readdirSync(each.seen())) rmSync(each.seen(name), { recursive: true });
  });
  afterAll(async () => {
    await home.close();
    await disk.close();
    await keeping.close();
  });

  /** A tree on the server, and a run that makes one on the disk like it: the whole disk, or a directory of it. */
  async function treeTo(target: string, tree: Record<string, Planted>, on = disk) {
    const name = `tree-${(count += 1)}`;
    const from = await plantTree(join(server.root, name), tree);
    const ends = [`${server.place(name)}/`, join(on.path, target)];
    const run = async (...flags: string[]) => {
      const args = [...SEALIFT, 'sync', '--delete', '--json', ...flags, ...ends];
      const { code, stdout } = await home.startCommand(on.command(args)).ended;
      const told = events(stdout);
      return { code, errors: told.filter(({ type }) => type === 'error').map((event) => event['message']) };
    };
    return { from, run };
  }

  const TARGETS = [
    ['the disk itself', ''],
    ['a directory of it', 'made/by/it'],
  ] as const;

  test.each(TARGETS)('%s keeps what is spelt in another way now', async (_, target) => {
    const { from, run } = await treeTo(target, { Foo: 'old', 'Dir/file': 'old', z: 'z' });
    expect(await run()).toEqual({ code: 0, errors: [] });
    for (const path of ['Foo', 'Dir']) rmSync(join(from, path), { recursive: true });
    await plantTree(from, { foo: 'newer', 'dir/File': 'newer' });
    for (let night = 0; night < 3; night += 1) {
      expect(await run()).toEqual({ code: 0, errors: [] });
      expect(await contentsAt(disk.seen(target))).toEqual({
        Foo: 'newer',
        'Dir/': '',
        'Dir/file': 'newer',
        z: 'z',
      });
    }
  });

  test.each(TARGETS)('%s keeps what it cannot spell', async (_, target) => {
    const { run } = await treeTo(target, { 'Photos etc./one': '1', 'who.': '2', z: 'z' });
    for (let night = 0; night < 3; night += 1) {
      expect(await run()).toEqual({ code: 0, errors: [] });
      expect(await contentsAt(disk.seen(target))).toEqual({
        'Photos etc/': '',
        'Photos etc/one': '1',
        who: '2',
        z: 'z',
      });
    }
  });

  test.each(TARGETS)('%s takes one of two, from the first run on', async (_, target) => {
    const { run } = await treeTo(target, { Read: '1', read: '2', 'a.': '3', a: '4', '2026': '5' });
    for (let night = 0; night < 2; night += 1) {
      const { code, errors } = await run();
      expect(code).toBe(3);
      expect(errors.toSorted()).toEqual([
        expect.stringMatching(/^"a\." and "a" .*position 1/),
        expect.stringMatching(/^"read" and "Read" .*position 0/),
      ]);
      expect(await contentsAt(disk.seen(target))).toEqual({ Read: '1', a: '4', 2026: '5' });
    }
    // What stands there tells it without anything being written.
    expect((await run('--dry-run')).code).toBe(3);
  });

  test.each(TARGETS)('%s takes both of two that differ in what it keeps at their ends', async (_, target) => {
    const tree = { Jr: '1', 'jr.': '2', 'jr ': '3', 'etc./one': '4', z: '5' };
    const { from, run } = await treeTo(target, tree, keeping);
    // An empty one tells it by a file that is made there, and then by what stands.
    for (let night = 0; night < 2; night += 1) {
      expect(await run()).toEqual({ code: 0, errors: [] });
      expect(await contentsAt(keeping.seen(target))).toEqual({ ...tree, 'etc./': '' });
    }
    expect(await run('--dry-run')).toEqual({ code: 0, errors: [] });
    rmSync(join(from, 'jr.'));
    await plantTree(from, { jr: 'other' });
    expect((await run()).code).toBe(3);
    rmSync(join(from, 'jr'));
    expect(await run()).toEqual({ code: 0, errors: [] });
    expect(readdirSync(keeping.seen(target)).toSorted()).toEqual(['Jr', 'etc.', 'jr ', 'z']);
  });
});
