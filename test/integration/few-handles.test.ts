import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import {
  Connector,
  openFileSource,
  upload,
  type ConnectOptions,
  type ErrorCode,
  type RetryPolicy,
} from '../../src/index.ts';
import { CliHome, SEALIFT, type ServeProcess } from '../support/cli.ts';
import { contentsAt } from '../support/planted-tree.ts';
import type { RunningProcess } from '../support/running-process.ts';
import { twoSides } from './two-sides.ts';

const MIB = 2 ** 20;
const home = new CliHome();
let server: ServeProcess | undefined;
afterAll(() => home.close());

/** Starts the program with so few file handles, its own included. */
function startWith(handles: number, args: readonly string[]): RunningProcess {
  return home.startCommand(['sh', '-c', `ulimit -n ${handles}; exec "$@"`, 'sh', ...SEALIFT, ...args]);
}

/** What a link names; nothing if it is gone, as a handle that was closed meanwhile. */
function linkAt(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** What is among `now` more often than among `before`, whichever of several sockets or pipes it is. */
function leftOf(now: readonly string[], before: readonly string[]): string[] {
  // libuv keeps a handle in reserve, of /dev/null at first, and of / once it had to make use of that.
  const kind = (target: string) => (target === '/' ? '/dev/null' : target.replace(/\[\d+\]$/, ''));
  const expected = before.map(kind);
  return now.map(kind).filter((target) => {
    const index = expected.indexOf(target);
    if (index >= 0) expected.splice(index, 1);
    return index < 0;
  });
}

describe('a server with few file handles', () => {
  const content = randomBytes(2 * MIB + 1);
  const root = home.at('few');

  async function serve(handles: number) {
    const flags = ['--json', '--host', '127.0.0.1', '--port', '0', '--anonymous', 'write'];
    const process = startWith(handles, ['serve', root, ...flags]);
    const { host, port, pin } = await process.event('listening');
    const address = { host: host as string, port: port as number };
    const directory = `/proc/${process.child.pid}/fd`;
    const openHandles = () => readdirSync(directory).map((name) => linkAt(`${directory}/${name}`));
    const openSockets = () => openHandles().filter((target) => target.startsWith('socket:')).length;
    return { process, options: { address, pins: [pin as string] }, openHandles, openSockets };
  }

  /** Uploads at once, over a connection each; the errors that had to be met again, and those that were the last. */
  async function uploads(options: ConnectOptions, count: number, retry: RetryPolicy) {
    const met = new Set<ErrorCode>();
    const send = async (name: string) => {
      const connector = new Connector(options);
      const source = await openFileSource(home.write('source', content));
      try {
        await upload(connector, source, name, { retry, onRetry: ({ error }) => met.add(error.code) });
      } finally {
        await source[Symbol.asyncDispose]();
        await connector[Symbol.asyncDispose]();
      }
    };
    const ended = await Promise.allSettled(Array.from({ length: count }, (_, index) => send(`up/${index}`)));
    const failures = ended.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    return { met, failures: failures.map(({ reason }) => reason as unknown) };
  }

  test('turns away what is too much for it, and serves when that is gone', async () => {
    const { process, options, openHandles, openSockets } = await serve(64);
    const hasty = { retries: 2, maxElapsedMs: 60_000, baseDelayMs: 1, maxDelayMs: 1 };
    const listening = openSockets();
    // What is opened for the first upload stays open: a server that has only just begun to listen has fewer handles. It
    // opens its root a second time for the thread for small files, which begins by and by.
    expect((await uploads(options, 1, hasty)).failures).toEqual([]);
    await expect.poll(() => openHandles().filter((target) => target === root).length).toBe(2);
    await expect.poll(openSockets).toBe(listening);
    const before = openHandles();
    const many = await uploads(options, 60, hasty);
    expect(many.failures.length).toBeGreaterThan(0);
    for (const failure of many.failures)
      expect(failure).toMatchObject({
        code: 'retries-exhausted',
        details: { lastCode: expect.stringMatching(/^(busy|connection-lost)$/) },
      });
    const patient = { retries: 1_000, maxElapsedMs: 60_000, baseDelayMs: 20, maxDelayMs: 100 };
    expect((await uploads(options, 12, patient)).failures).toEqual([]);
    for (let index = 0; index < 12; index += 1)
      expect(content.equals(home.read(`few/up/${index}`))).toBe(true);
    await expect.poll(() => leftOf(openHandles(), before)).toEqual([]);
    expect(await process.kill('SIGTERM')).toMatchObject({ code: 0 });
  });
});

describe('a client with few file handles', () => {
  const tree = Object.fromEntries(
    Array.from({ length: 120 }, (_, index) => [`${index % 7}/${index}`, randomBytes(1_000 + index)]),
  );

  test.each(['put', 'get', 'sync'] as const)(
    '%s moves a tree of many files all the same',
    async (command) => {
      server ??= await home.serve();
      const direction = command === 'get' ? 'from a server' : 'to a server';
      const large = randomBytes(3 * MIB);
      const sides = await twoSides(home, server, direction, { ...tree, large });
      const flags = command === 'sync' ? [] : ['-r'];
      const { code, stderr } = await startWith(26, [
        command,
        '-q',
        ...flags,
        `${sides.source}/`,
        sides.target,
      ]).ended;
      expect([code, stderr]).toEqual([0, '']);
      expect(await contentsAt(sides.to)).toEqual(await contentsAt(sides.from));
    },
  );
});
