import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { contentsAt, plantTree, treeAt } from '../support/planted-tree.ts';
import type { RunningProcess } from '../support/running-process.ts';
import { DIRECTIONS, twoSides, type Tree } from './two-sides.ts';

const MIB = 2 ** 20;
const home = new CliHome();
let server: ServeProcess;
/** Small files before, between and after two large ones, one of which is only to be changed. */
let source: Record<string, Tree[string]>;
let old: Tree;

beforeAll(async () => {
  server = await home.serve();
  const large = randomBytes(5 * MIB);
  const names = Array.from({ length: 24 }, (_, index) => `${index % 3}/f${index}`);
  source = Object.fromEntries(names.map((name) => [name, randomBytes(30_000)]));
  source['1/large'] = large;
  source['2/changed'] = Buffer.concat([randomBytes(2 * MIB), large.subarray(2 * MIB)]);
  source['2/link'] = { link: '../1/large' };
  old = {
    '2/changed': { content: large, mtimeMs: 5 },
    '0/f0': { content: 'old', mtimeMs: 5 },
    '2/gone/x': 'x',
  };
  await plantTree(home.at('old'), old);
});
afterAll(() => home.close());

const ownNames = (directory: string) =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.sealift'));

const MOMENTS: [string, (run: RunningProcess) => Promise<unknown>][] = [
  ['when it begins', (run) => run.event('plan')],
  ['among small files', (run) => run.event('plan', ({ path }) => path === '1/f10')],
  ['when large ones are begun', (run) => run.event('plan', ({ path }) => path === '2/changed')],
  ['when only large ones are left', (run) => run.event('plan', ({ action }) => action === 'delete')],
  ['in the middle of large ones', (run) => run.event('progress')],
];

describe.each(DIRECTIONS)('a sync %s that is killed', (direction) => {
  test.concurrent.each(MOMENTS)(
    '%s leaves no half file, and the next one does the rest',
    async (_, moment) => {
      const sides = await twoSides(home, server, direction, source, old);
      const flags = ['--json', '--delete', '--bwlimit', '3M', '--transfers', '4'];
      const killed = home.start(['sync', ...flags, sides.source, sides.target]);
      await moment(killed);
      expect((await killed.kill('SIGKILL')).signal).toBe('SIGKILL');

      const [whole, before] = [await contentsAt(sides.from), await contentsAt(home.at('old'))];
      for (const [path, content] of Object.entries(await contentsAt(sides.to)))
        if (!path.includes('.sealift-')) expect([whole[path], before[path]], path).toContain(content);

      const again = await home.runJson(['sync', '--delete', sides.source, sides.target]);
      expect(again.events.at(-1)).toMatchObject({ failed: 0, exitCode: 0 });
      const [{ '': _to, ...to }, { '': _from, ...from }] = [await treeAt(sides.to), await treeAt(sides.from)];
      expect(to).toEqual(from);
      expect(ownNames(sides.to)).toEqual([]);
    },
  );
});

test('nothing of a killed run is in view of others', async () => {
  expect((await home.run(['ls', '-r', server.place()])).stdout).not.toContain('.sealift');
});
