import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runHere } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { contentsAt, plantTree } from '../support/planted-tree.ts';
import { DIRECTIONS, twoSides } from './two-sides.ts';

const MIB = 2 ** 20;
const home = new CliHome();
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
});
afterAll(() => home.close());

describe.each(DIRECTIONS)('sync %s', (direction) => {
  const moved = direction === 'to a server' ? 'sentBytes' : 'receivedBytes';
  const eight = randomBytes(8 * MIB);
  const changed = Buffer.from(eight);
  changed.fill(1, 4 * MIB, 5 * MIB);

  test.each([
    ['1 MiB changed in the middle', 'on', changed, 1 * MIB],
    ['1 MiB changed in the middle', 'auto', changed, 1 * MIB],
    ['1 MiB changed in the middle', 'off', changed, 8 * MIB],
    ['something appended', 'on', Buffer.concat([eight, Buffer.alloc(10)]), 10],
    ['a file cut short', 'on', eight.subarray(0, 3 * MIB + 1), 0],
    ['a small file', 'auto', eight.subarray(0, 2 * MIB), 2 * MIB],
  ])('%s, --delta %s', async (_, delta, content, expected) => {
    const small = content.length === 2 * MIB ? 2 * MIB : eight.length;
    const old = small === eight.length ? eight : changed.subarray(4 * MIB, 6 * MIB);
    const sides = await twoSides(home, server, direction, { f: content }, { f: old });
    await plantTree(sides.from, { f: { content, mtimeMs: 5 } });
    const { code, events } = await runHere(home, [
      'sync',
      '--json',
      '--delta',
      delta,
      sides.source,
      sides.target,
    ]);
    expect(code).toBe(0);
    const file = events.find(({ type }) => type === 'file');
    expect(file).toMatchObject({ size: content.length, [moved]: expected });
    expect(await contentsAt(sides.to)).toEqual(await contentsAt(sides.from));
  });
});
