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
  let server: ServeProcess;
  let count = 0;

  beforeAll(async () => {
    disk = await FoldingDisk.mount();
    server = await home.serve();
  });
  beforeEach(() => {
    for (const name of readdirSync(disk.seen())) rmSync(disk.seen(name), { recursive: true });
  });
  afterAll(async () => {
    await home.close();
    await disk.close();
  });

  /** A tree on the server, and a run that makes one on the disk like it: the whole disk, or a directory of it. */
  async function treeTo(target: string, tree: Record<string, Planted>) {
    const name = `tree-${(count += 1)}`;
    const from = await plantTree(join(server.root, name), tree);
    const ends = [`${server.place(name)}/`, join(disk.path, target)];
    const run = async (...flags: string[]) => {
      const args = [...SEALIFT, 'sync', '--delete', '--json', ...flags, ...ends];
      const { code, stdout } = await home.startCommand(disk.command(args)).ended;
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
});
