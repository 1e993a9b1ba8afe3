import { randomBytes } from 'node:crypto';
import { appendFileSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runHere } from '../cli/run-here.ts';
import type { ServeProcess } from '../support/cli.ts';
import { GatedStore } from '../support/gated-store.ts';
import { contentsAt, plantTree } from '../support/planted-tree.ts';
import { events } from '../support/running-process.ts';
import { startTestServer, tokenOf } from '../support/test-server.ts';
import { NobodysHome } from './nobodys-home.ts';
import { DIRECTIONS, twoSides, type Tree } from './two-sides.ts';

const MIB = 2 ** 20;
const home = new NobodysHome();
let server: ServeProcess;

beforeAll(async () => {
  server = await home.serve();
});
afterAll(() => home.close());

describe.each(DIRECTIONS)('sync %s', (direction) => {
  const tree = {
    a: 'A',
    'm/bad': { content: 'secret', mode: 0 },
    'm/good': 'good',
    z: 'Z',
    link: { link: 'a' },
  };

  test('a file that cannot be read: all else arrives, nothing is deleted, it is named, 3', async () => {
    const { source, target, to } = await twoSides(home, server, direction, tree);
    await plantTree(to, { extra: 'extra' });
    home.giveAway(to);
    const { code: exit, stderr } = await home.run(['sync', '--delete', source, target]);
    expect(exit).toBe(3);
    const code = direction === 'to a server' ? 'local-file' : 'forbidden';
    expect(stderr).toMatch(new RegExp(`^sealift: sync: ${code}: .*m/bad.*\\.$`, 'm'));
    expect(stderr).toMatch(
      new RegExp(`3 of 4 files, .*, 1 link, 1 failed\nsealift: failed: .*m/bad \\(${code}\\)\n$`),
    );
    expect(await contentsAt(to)).toEqual({
      ...{ a: 'A', 'm/': '', 'm/good': 'good', z: 'Z', link: '-> a', extra: 'extra' },
    });
    const json = await home.runJson(['sync', '--delete', source, target]);
    expect(json.code).toBe(3);
    expect(json.events.filter(({ type }) => type === 'error')).toMatchObject([
      { code, path: expect.stringMatching(/m\/bad$/) },
    ]);
    expect(json.events.at(-1)).toMatchObject({
      ...{ files: 0, failed: 1, deleted: 0, exitCode: 3 },
      failures: [{ path: expect.stringMatching(/m\/bad$/), code }],
    });
  });
});

describe('a source that does not stand still', () => {
  const large = randomBytes(6 * MIB);

  /** Runs a command slowly, and does something to its source while it is being sent. */
  async function meanwhile(args: readonly string[], change: () => void) {
    const started = home.start([...args, '--json', '--bwlimit', '2M']);
    await started.event('progress');
    change();
    const ended = await started.ended;
    return { code: ended.code, events: events(ended.stdout) };
  }

  test.concurrent.each([
    ['fail', 3, { failed: 1 }, undefined],
    ['skip', 0, { skipped: 1 }, undefined],
    ['retry', 0, { failed: 0 }, 6 * MIB + 4],
  ])('a file that changes in a tree, --on-change %s: %i', async (what, code, counts, size) => {
    const { source, target, from, to } = await twoSides(home, server, 'to a server', { a: large, b: 'B' });
    const sync = ['sync', '--on-change', what, source, target];
    const ended = await meanwhile(sync, () => appendFileSync(`${from}/a`, 'more'));
    expect(ended.code).toBe(code);
    expect(ended.events.at(-1)).toMatchObject({ ...counts, exitCode: code });
    const arrived = await contentsAt(to);
    expect(arrived['b']).toBe('B');
    // Whole as it is now, or not at all.
    expect(arrived['a']).toBe(size === undefined ? undefined : (await contentsAt(from))['a']);
  });

  test.concurrent.each([
    ['fail', 3, { failed: 1, deleted: 0 }],
    ['skip', 0, { skipped: 1, deleted: 1 }],
  ])('a file that vanishes in a tree, --on-vanish %s: %i', async (what, code, counts) => {
    const tree = { a: large, z: 'Z' };
    const { source, target, from, to } = await twoSides(home, server, 'to a server', tree, { old: 'old' });
    home.giveAway(to);
    const flags = ['--on-vanish', what, '--transfers', '1', '--delete'];
    const ended = await meanwhile(['sync', ...flags, source, target], () => rmSync(`${from}/z`));
    expect(ended.code).toBe(code);
    expect(ended.events.at(-1)).toMatchObject({ files: 1, ...counts });
  });

  test.concurrent.each([
    [['--on-change', 'fail'], 16],
    [['--on-change', 'retry'], 0],
    [[], 16],
    [['-c'], 16],
  ])('a file alone that changes, %j: %i', async (flags, code) => {
    const { source, target, from } = await twoSides(home, server, 'to a server', { a: large });
    const put = ['put', ...flags, `${source}/a`, `${target}/a`];
    const ended = await meanwhile(put, () => appendFileSync(`${from}/a`, 'more'));
    expect(ended.code).toBe(code);
  });

  test('a file alone that is not there: 4', async () => {
    for (const what of ['fail', 'skip'])
      expect((await home.run(['put', '--on-vanish', what, 'none', server.place('x')])).code).toBe(4);
  });
});

test('two runs for one local target at once: the second is refused with 12', async () => {
  const tree = { a: randomBytes(8 * MIB) };
  const { source, target, from, to } = await twoSides(home, server, 'from a server', tree);
  const first = home.start(['sync', '--json', '--bwlimit', '2M', source, target]);
  await first.event('progress');
  first.freeze();
  const second = await home.runJson(['sync', source, target]);
  expect(second.code).toBe(12);
  expect(second.events.filter(({ type }) => type === 'error')).toMatchObject([{ code: 'locked' }]);
  expect((await first.kill('SIGTERM')).code).toBe(143);
  expect((await home.run(['sync', source, target])).code).toBe(0);
  expect(await contentsAt(to)).toEqual(await contentsAt(from));
});

describe('a server that loses every connection before it has synced', () => {
  const files = Array.from({ length: 30 }, (_, index) => [`${index % 2 === 0 ? 'd' : 'e'}/f${index}`, 'x']);

  /** Runs `sync` of these files and two directories. */
  async function run(...flags: string[]) {
    const store = new GatedStore();
    const { server, address } = await startTestServer({ store });
    store.sync = () => Promise.resolve(server.destroyConnections());
    const tree = await plantTree(home.at(`lost-${flags.join('')}`), Object.fromEntries(files) as Tree);
    const place = `sealift://127.0.0.1:${(address as { port: number }).port}/`;
    const sync = ['sync', '--insecure', '--retry', '1', '--retry-delay', '1ms', ...flags, `${tree}/`, place];
    return runHere(home, sync, { SEALIFT_TOKEN: tokenOf('tester') });
  }
  const isTold = (line: string) => line.startsWith('sealift: sync: retries-exhausted: ');

  test('is told in a few lines and a count, files and directories apart: 8', async () => {
    const { code, stderr } = await run();
    expect(code).toBe(8);
    const lines = stderr.split('\n').filter(isTold);
    expect(lines).toHaveLength(4);
    expect(new Set(lines.slice(0, 3)).size).toBe(1);
    expect(lines[3]).toContain(': 29 more (each with --verbose): The server could not say');
    expect(stderr).toMatch(/^0 of 30 files, .*, 30 failed, 2 directories failed$/m);
    expect((await run('--quiet')).stderr.split('\n').filter(isTold)).toHaveLength(4);
    expect((await run('--verbose')).stderr.split('\n').filter(isTold)).toHaveLength(32);
  });

  test('is told to a program for each', async () => {
    const { code, events: told } = await run('--json');
    expect(told.filter(({ type }) => type === 'error')).toHaveLength(32);
    expect([code, told.at(-1)]).toMatchObject([8, { files: 0, failed: 32, failedDirectories: 2 }]);
  });
});
