import { mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';

import { SealiftError } from '../../src/errors.ts';
import { pathsContent } from '../../src/protocol/requests.ts';
import type { AuditEntry } from '../../src/server/audit.ts';
import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { beginThread } from '../../src/storage/fs/small-files.ts';
import { putText } from '../contract/store/samples.ts';
import { temporaryRoot } from '../storage/temporary-root.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { GatedStore } from '../support/gated-store.ts';
import type { RawClient } from '../support/raw-client.ts';
import { bytesOf, fileDigestOf } from '../support/raw-upload.ts';
import { startTestServer, type TestServerOptions } from '../support/test-server.ts';

/** Bytes of the largest file of which a digest is told. */
const LARGEST = 65_536;
/** Files of one connection that are worked on at once. */
const AT_ONCE = 64;

function asking(paths: readonly string[]) {
  return { content: pathsContent(paths), contentType: 'text/json' };
}

async function digestsOf(client: RawClient, paths: readonly string[]): Promise<(string | null)[]> {
  const { content, parts } = await client.askOk('file-digests', {}, asking(paths));
  expect(parts).toEqual([]);
  return (JSON.parse(content.toString()) as { digests: (string | null)[] }).digests;
}

describe.each([
  ['by a thread', beginThread],
  ['without one', undefined],
])('files in a directory, read %s', (_, thread) => {
  async function start(options: TestServerOptions = {}) {
    const root = temporaryRoot();
    const store = await FileStore.open({ root: root.path, ...(thread && { beginThread: thread }) });
    await store.startThread();
    onTestFinished(async () => {
      await store[Symbol.asyncDispose]();
      root.remove();
    });
    const server = await startTestServer({ ...options, store });
    return { root, ...server };
  }

  test('are told in the order in which they are asked for, as many as may be', async () => {
    const { root, login } = await start();
    mkdirSync(root.at('d'));
    const contents = [Buffer.alloc(0), bytesOf(LARGEST), ...[1, 2, 3].map((n) => bytesOf(n * 100, n))];
    contents.forEach((content, index) => writeFileSync(root.at(`d/${index}`), content));
    const asked = Array.from({ length: 1_024 }, (_each, index) => (index * 3) % contents.length);
    expect(
      await digestsOf(
        await login(),
        asked.map((index) => `d/${index}`),
      ),
    ).toEqual(asked.map((index) => fileDigestOf(contents[index] as Buffer)));
  });

  test('are told with the digest of the connection', async () => {
    const { root, login } = await start();
    writeFileSync(root.at('file'), 'x');
    const client = await login(undefined, { digest: 'blake3' });
    const { digest } = (await client.askOk('digests', { path: 'file' })).header;
    expect(await digestsOf(client, ['file'])).toEqual([digest]);
  });

  test('are read each time', async () => {
    const { root, login } = await start();
    const client = await login();
    const write = (text: string) => {
      writeFileSync(root.at('file'), text);
      utimesSync(root.at('file'), 1, 1);
    };
    for (const text of ['one', 'two']) {
      write(text);
      expect(await digestsOf(client, ['file'])).toEqual([fileDigestOf(Buffer.from(text))]);
    }
  });

  test('are passed over where they have to be asked for by themselves', async () => {
    const { root, login } = await start();
    mkdirSync(root.at('directory'));
    for (const path of ['file', 'directory/file']) writeFileSync(root.at(path), path);
    writeFileSync(root.at('large'), '');
    truncateSync(root.at('large'), LARGEST + 1);
    symlinkSync('file', root.at('link'));
    symlinkSync('directory', root.at('way'));
    const passedOver = [
      ...['large', 'nothing', 'nothing/x', 'directory', 'link', 'way/file', 'file/x', ''],
      ...['/file', 'directory/../file', './file', 'file/', 'fi\u0000le', '\ud800', 'x'.repeat(300)],
      ...['.sealift', '.sealift/uploads'],
    ];
    const asked = passedOver.flatMap((path) => [path, 'file']);
    expect(await digestsOf(await login(), asked)).toEqual(
      asked.map((path) => (path === 'file' ? fileDigestOf(Buffer.from('file')) : null)),
    );
  });

  test('are for who may read them', async () => {
    const { root, login } = await start({
      users: {
        some: { limits: 'prefixes = ["mine", "b"]' },
        writer: { permissions: ['write', 'list', 'delete'] },
      },
    });
    mkdirSync(root.at('mine'));
    for (const path of ['mine/a', 'b', 'c']) writeFileSync(root.at(path), path);
    const told = (path: string) => fileDigestOf(Buffer.from(path));
    expect(await digestsOf(await login('some'), ['c', 'mine/a', 'mine', 'b', 'nothing'])).toEqual([
      null,
      told('mine/a'),
      null,
      told('b'),
      null,
    ]);
    const refused = await (await login('writer')).ask('file-digests', {}, asking(['b']));
    expect(refused.header['code']).toBe('forbidden');
  });

  test('stand in the audit log one by one, those that were told', async () => {
    const entries: AuditEntry[] = [];
    const audit = { record: (entry: AuditEntry) => void entries.push(entry) };
    const { root, login } = await start({
      audit,
      users: { tester: {}, some: { limits: 'prefixes = ["a"]' } },
    });
    for (const path of ['a', 'b', 'c']) writeFileSync(root.at(path), path);
    await digestsOf(await login('some'), ['', 'no/../path', 'b'.repeat(5_000), 'b', 'c']);
    const refusal = { event: 'refusal', action: 'file-digests', path: 'b', result: 'forbidden' };
    expect(entries.splice(0).slice(1)).toMatchObject([refusal]);
    await digestsOf(await login(), ['a', 'nothing', 'b']);
    expect(
      entries
        .slice(1)
        .map(({ event, action, path, digest, result }) => [event, action, path, digest, result]),
    ).toEqual(
      ['a', 'b'].map((path) => ['transfer', 'file-digests', path, fileDigestOf(Buffer.from(path)), 'ok']),
    );
  });
});

test.each<[what: string, content: string]>([
  ['nothing', ''],
  ['no JSON', '{"paths":["a"]'],
  ['no UTF-8', '{"paths":["\xff"]}'],
  ['null', 'null'],
  ['a list', '["a"]'],
  ['no paths', '{}'],
  ['a path for a list', '{"paths":"a"}'],
  ['what is no text', '{"paths":["a",1]}'],
  ['too many', JSON.stringify({ paths: Array(1_025).fill('a') })],
  ['lists in lists', `{"paths":${'['.repeat(500_000)}`],
])('a request with %s is refused, and the connection goes on', async (_, content) => {
  const client = await (await startTestServer()).login();
  const answer = await client.ask('file-digests', {}, { content: Buffer.from(content, 'latin1') });
  expect(answer.header['code']).toBe('bad-request');
  await client.askOk('ping');
});

describe('a store that takes its time', () => {
  async function start(options: TestServerOptions = {}) {
    const store = new GatedStore();
    const server = await startTestServer({ ...options, store });
    const paths = Array.from({ length: 100 }, (_, index) => `file ${index}`);
    for (const path of paths) await putText(store, path, path);
    return { ...server, store, paths, client: await server.login() };
  }

  test('is asked for no more files at once than by single requests', async () => {
    const { store, paths, client, login } = await start();
    const gates = paths.map((path) => store.hold(`open ${path}`));
    let begun = 0;
    for (const gate of gates) void gate.reached().then(() => (begun += 1));
    const ids = [paths.slice(0, 30), paths.slice(30, 60), paths.slice(60, 80), paths.slice(80)].map((some) =>
      client.begin('file-digests', {}, asking(some)),
    );
    // Behind them, and so answered when all have come.
    await client.ask('ping');
    const witness = await login();
    for (let round = 0; round < 50; round += 1) await witness.ask('ping');
    expect(begun).toBeGreaterThan(16);
    expect(begun).toBeLessThanOrEqual(AT_ONCE);
    // Nobody else waits for them.
    expect(await digestsOf(witness, ['nothing'])).toEqual([null]);
    for (const gate of gates) gate.open();
    for (const id of ids) expect((await client.answer(id)).header['status']).toBe('ok');
    expect(begun).toBe(paths.length);
  });

  test('is not asked for the rest when the request is cancelled', async () => {
    const { store, paths, client } = await start();
    const gate = store.hold(`open ${paths[3]}`);
    const last = store.count(`open ${paths.at(-1)}`);
    const id = client.begin('file-digests', {}, asking(paths));
    await gate.reached();
    await client.askOk('cancel', { target: id });
    gate.open();
    expect((await client.answer(id)).header['code']).toBe('cancelled');
    expect(last()).toBe(0);
    // Their room is given back.
    expect(await digestsOf(client, paths)).not.toContain(null);
  });

  test('is no reason to take the server for dead', async () => {
    const clock = new FakeClock();
    const { store, paths, client } = await start({ clock });
    const gate = store.hold(`open ${paths[0]}`);
    const id = client.begin('file-digests', {}, asking(paths));
    await gate.reached();
    clock.advance(5_000);
    expect((await client.take()).header).toMatchObject({ id, status: 'progress' });
    gate.open();
    expect((await client.answer(id)).header['status']).toBe('ok');
  });

  test('and refuses one file keeps no other from being told', async () => {
    const { store, client } = await start();
    const open = store.open.bind(store);
    const broken = new SealiftError('internal', 'The disk is broken.');
    store.open = (path, ...rest) => (path === 'file 1' ? Promise.reject(broken) : open(path, ...rest));
    expect(await digestsOf(client, ['file 0', 'file 1', 'file 2'])).toEqual([
      fileDigestOf(Buffer.from('file 0')),
      null,
      fileDigestOf(Buffer.from('file 2')),
    ]);
  });
});
