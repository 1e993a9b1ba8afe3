import { existsSync } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';

import type { AuditEntry } from '../../src/server/audit.ts';
import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { beginThread, type BeginThread } from '../../src/storage/fs/small-files.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { encodeMessage } from '../../src/protocol/encoder.ts';
import type { RawClient } from '../support/raw-client.ts';
import { bytesOf, digestOf, fileDigestOf } from '../support/raw-upload.ts';
import { startTestServer, type TestServerOptions } from '../support/test-server.ts';
import { temporaryRoot } from '../storage/temporary-root.ts';

const COUNT = 40;
const NAMES = Array.from({ length: COUNT }, (_, index) => `d${index % 3}/file-${index}`);
const contentOf = (name: string) => bytesOf(100 + name.length * 7, name.length);

/** A server for a directory with a thread for small files. */
async function startWithThread(options: TestServerOptions = {}, begin: BeginThread = beginThread) {
  const root = temporaryRoot();
  const store = await FileStore.open({ root: root.path, beginThread: begin });
  await store.startThread();
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]();
    root.remove();
  });
  return { root, ...(await startTestServer({ store, ...options })), store };
}

function begin(
  client: RawClient,
  path: string,
  fields: Record<string, unknown> = {},
  content = contentOf(path),
) {
  return client.begin('put', { ...fieldsOf(path, content), ...fields }, { content });
}

function fieldsOf(path: string, content = contentOf(path)) {
  return { path, size: content.length, digest: digestOf(content), durability: 'memory' };
}

/** Sends many at once, and resolves with the headers of their answers. */
async function putAll(client: RawClient, paths: readonly string[] = NAMES) {
  const ids = paths.map((path) => begin(client, path));
  return Promise.all(ids.map(async (id) => (await client.answer(id)).header));
}

describe('small files that come together', () => {
  test('are put, each with its receipt', async () => {
    const { root, login } = await startWithThread();
    const client = await login();
    for (const [index, header] of (await putAll(client)).entries()) {
      const path = NAMES[index] as string;
      const content = contentOf(path);
      const digest = fileDigestOf(content);
      expect(header).toMatchObject({
        status: 'ok',
        path,
        size: content.length,
        digest,
        durability: 'memory',
      });
      expect((await readFile(root.at(path))).equals(content)).toBe(true);
    }
    await client.askOk('sync');
    const { content } = await client.askOk('list', { path: '', recursive: true });
    expect(JSON.parse(content.toString())).toMatchObject({ entries: { length: COUNT + 3 } });
  });

  test.each<[string, string, Record<string, unknown>, string]>([
    ['a wrong digest', 'x', { digest: digestOf(Buffer.from('other')) }, 'digest-mismatch'],
    ['another size', 'x', { size: 1 }, 'bad-request'],
    ['a path that climbs', '../x', {}, 'bad-name'],
    ['a name that is taken', 'taken', { if: 'absent' }, 'exists'],
    ['a directory in its place', 'd0', {}, 'is-directory'],
    ['a file in the place of a directory', 'taken/x', {}, 'not-directory'],
    ['a condition that does not hold', 'd0/new', { if: 'match', etag: 'x' }, 'precondition-failed'],
  ])('do not suffer from one with %s', async (_, path, fields, code) => {
    const { root, login } = await startWithThread();
    await writeFile(root.at('taken'), 'as it was');
    const client = await login();
    const before = NAMES.slice(0, 20).map((name) => begin(client, name));
    const id = begin(client, path, fields);
    const behind = NAMES.slice(20).map((name) => begin(client, name));
    expect((await client.answer(id)).header).toMatchObject({ status: 'error', code });
    for (const each of [...before, ...behind])
      expect((await client.answer(each)).header).toMatchObject({ status: 'ok' });
    expect(await readFile(root.at('taken'), 'utf8')).toBe('as it was');
  });

  test('are judged each by the principal’s permissions', async () => {
    const users = {
      adder: { permissions: ['write', 'read'] as const, limits: 'prefixes = ["d0", "taken"]' },
    };
    const { root, login } = await startWithThread({ users });
    await writeFile(root.at('taken'), 'as it was');
    const client = await login();
    const answers = await putAll(client, ['d0/a', 'd1/b', 'taken', 'd0/c']);
    expect(answers.map(({ status, code }) => code ?? status)).toEqual(['ok', 'forbidden', 'forbidden', 'ok']);
    expect(await readFile(root.at('taken'), 'utf8')).toBe('as it was');
  });

  test('replace what stands, and each other in their order', async () => {
    const { root, login } = await startWithThread();
    await writeFile(root.at('a'), 'old');
    const client = await login();
    const contents = [1, 2, 3].map((seed) => bytesOf(2_000, seed));
    const ids = contents.map((content) => begin(client, 'a', {}, content));
    for (const id of ids) expect((await client.answer(id)).header).toMatchObject({ status: 'ok' });
    expect(contents.some((content) => content.equals(bytesOf(2_000, 1)))).toBe(true);
    const stands = await readFile(root.at('a'));
    expect(contents.some((content) => content.equals(stands))).toBe(true);
  });

  test('have ids of their own: one that is worked on already is refused', async () => {
    const { login } = await startWithThread();
    const client = await login();
    const first = 1_000;
    const put = (path: string) =>
      encodeMessage({ fields: { action: 'put', id: first, ...fieldsOf(path) }, content: contentOf(path) });
    client.write(Buffer.concat([put('a'), put('b')]));
    const answers = [await client.take(hasId(first)), await client.take(hasId(first))];
    expect(answers.map(({ header }) => header['code'] ?? header['status']).sort()).toEqual([
      'bad-request',
      'ok',
    ]);
  });

  test('are each in the audit log', async () => {
    const entries: AuditEntry[] = [];
    const { login } = await startWithThread({
      audit: { record: (entry) => void entries.push(entry) },
    });
    await putAll(await login());
    const transfers = entries.filter(({ event }) => event === 'transfer');
    expect(transfers.map(({ path }) => path).sort()).toEqual([...NAMES].sort());
    expect(transfers[0]).toMatchObject({ action: 'put', result: 'ok', principal: 'tester' });
    expect(transfers[0]?.digest).toMatch(/^sha256-1m:/);
  });

  test('count against a quota', async () => {
    const users = { tester: { limits: 'quota-files = 10' } };
    const { login } = await startWithThread({ users });
    const answers = await putAll(
      await login(),
      Array.from({ length: 20 }, (_, index) => `file-${index}`),
    );
    const codes = answers.map(({ status, code }) => code ?? status);
    expect(codes.filter((code) => code === 'ok')).toHaveLength(10);
    expect(codes.filter((code) => code === 'quota-exceeded')).toHaveLength(10);
  });

  test('are fetched, and do not suffer from those that are no small files', async () => {
    const { root, login } = await startWithThread();
    const client = await login();
    await putAll(client);
    await writeFile(root.at('large'), bytesOf(2 * BLOCK_BYTES));
    const others: [string, string][] = [
      ['missing', 'not-found'],
      ['d0', 'is-directory'],
      ['../x', 'bad-name'],
    ];
    const ids = NAMES.map((path) => client.begin('get', { path }));
    const wrong = others.map(([path, code]) => ({ id: client.begin('get', { path }), code }));
    const large = client.begin('get', { path: 'large' });
    for (const [index, id] of ids.entries()) {
      const { header, content } = await client.answer(id);
      const expected = contentOf(NAMES[index] as string);
      expect(header).toMatchObject({ status: 'ok', size: expected.length, digest: digestOf(expected) });
      expect(content.equals(expected)).toBe(true);
    }
    for (const { id, code } of wrong)
      expect((await client.answer(id)).header).toMatchObject({ status: 'error', code });
    expect((await client.answer(large)).parts.filter(({ content }) => content.length > 0)).toHaveLength(2);
  });

  test('are put all the same when their thread ends', async () => {
    const dying: BeginThread = (root) => {
      const thread = beginThread(root);
      const post = thread.postMessage.bind(thread);
      thread.postMessage = (...message: Parameters<typeof post>) => {
        post(...message);
        void thread.terminate();
      };
      return thread;
    };
    const { root, login } = await startWithThread({}, dying);
    const client = await login();
    for (const header of await putAll(client)) expect(header).toMatchObject({ status: 'ok' });
    for (const name of NAMES) expect((await readFile(root.at(name))).equals(contentOf(name))).toBe(true);
    const { content } = await client.askOk('list', { path: '', recursive: true });
    expect(JSON.parse(content.toString())).toMatchObject({ entries: { length: COUNT + 3 } });
  });

  test('can be cancelled, where they turn out to be no small ones', async () => {
    const { root, login } = await startWithThread();
    await writeFile(root.at('large'), '');
    await truncate(root.at('large'), 64 * BLOCK_BYTES);
    const client = await login();
    const get = { action: 'get', id: 1_000, path: 'large' };
    const cancel = { action: 'cancel', id: 1_001, target: 1_000 };
    client.write(Buffer.concat([get, cancel].map((fields) => encodeMessage({ fields }))));
    expect((await client.answer(1_000)).header).toMatchObject({ status: 'error', code: 'cancelled' });
  });

  test('are finished when the server drains, and do not wait for each other', async () => {
    const { root, store, server, login } = await startWithThread();
    const client = await login();
    const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const put = store.put.bind(store);
    vi.spyOn(store, 'put').mockImplementationOnce(async (...publication) => {
      begun.resolve();
      await gate.promise;
      return put(...publication);
    });
    const stuck = begin(client, 'stuck');
    await begun.promise;
    for (const header of await putAll(client)) expect(header).toMatchObject({ status: 'ok' });
    const closing = server.close();
    gate.resolve();
    expect((await client.answer(stuck)).header).toMatchObject({ status: 'ok' });
    await closing;
    expect((await readFile(root.at('stuck'))).equals(contentOf('stuck'))).toBe(true);
  });

  test('are answered to a client that says no more after them', async () => {
    const { login } = await startWithThread();
    const client = await login();
    const ids = NAMES.map((name) => begin(client, name));
    client.end();
    for (const id of ids) expect((await client.answer(id)).header['status']).toBe('ok');
  });

  test('are answered before the server ends', async () => {
    const { root, server, login } = await startWithThread();
    const client = await login();
    const [first = 0] = NAMES.map((name) => begin(client, name));
    await client.answer(first);
    await server.close();
    await client.ended();
    const told = client.messages.filter(({ header }) => header['durability'] === 'memory');
    // Those that it had not read any more are neither answered nor there.
    expect(told.map(({ header }) => header['path']).sort()).toEqual(
      NAMES.filter((name) => existsSync(root.at(name))).sort(),
    );
  });
});

function hasId(id: number) {
  return ({ header }: { header: Record<string, unknown> }) => header['id'] === id;
}
