import { describe, expect, test } from 'vitest';

import type { RawAnswer, RawClient } from '../support/raw-client.ts';
import {
  beginUpload,
  bytesOf,
  commit,
  fetched,
  fileDigestOf,
  putInline,
  sendBlock,
} from '../support/raw-upload.ts';
import { startTestServer, type TestServerOptions } from '../support/test-server.ts';

const OLD = bytesOf(100, 1);
const NEW = bytesOf(200, 2);

/** Puts a content in blocks, if that is not refused before any is sent. */
async function inBlocks(
  [client, other]: [RawClient, RawClient],
  path: string,
  content: Buffer,
  fields: Record<string, unknown>,
): Promise<RawAnswer> {
  const begun = await client.ask('put', { path, size: content.length, ...fields });
  if (begun.header['status'] !== 'ok') return begun;
  const upload = begun.header['upload'] as string;
  await sendBlock(client, upload, 0, content);
  return commit(other, upload, content);
}

type Put = (fields: Record<string, unknown>) => Promise<RawAnswer>;
/** The ways to put `NEW` under the name `a`: what is asked and answered is the same. */
const WAYS: Record<string, (clients: [RawClient, RawClient]) => Put> = {
  inline:
    ([client]) =>
    (fields) =>
      putInline(client, 'a', NEW, fields),
  'in blocks':
    ([client]) =>
    (fields) =>
      inBlocks([client, client], 'a', NEW, fields),
  'in blocks, and committed over another connection':
    ([client, other]) =>
    (fields) =>
      inBlocks([client, other], 'a', NEW, fields),
};

describe.each(Object.keys(WAYS))('a put %s', (way) => {
  const start = async (options?: TestServerOptions) => {
    const { login, connect } = await startTestServer({ users: { tester: {}, ...options?.users } });
    const user = Object.keys(options?.users ?? {})[0] ?? 'tester';
    const owner = await login('tester');
    const clients: [RawClient, RawClient] = [await login(user), await login(user)];
    return { owner, put: WAYS[way]!(clients), connect, login };
  };

  test('if absent succeeds where nothing stands, and tells what does', async () => {
    const { owner, put } = await start();
    const { header } = await put({ if: 'absent' });
    expect(header['status']).toBe('ok');
    const again = await put({ if: 'absent' });
    expect(again.header).toMatchObject({
      code: 'exists',
      etag: header['etag'],
      digest: fileDigestOf(NEW),
      retryable: false,
    });
    expect((await fetched(owner, 'a'))?.equals(NEW)).toBe(true);
  });

  test('if match replaces what it names, and nothing else', async () => {
    const { owner, put } = await start();
    const { etag } = (await putInline(owner, 'a', OLD)).header;
    expect((await put({ if: 'match', etag: 'another' })).header).toMatchObject({
      code: 'precondition-failed',
      etag,
      digest: fileDigestOf(OLD),
    });
    expect((await fetched(owner, 'a'))?.equals(OLD)).toBe(true);
    expect((await put({ if: 'match', etag })).header['status']).toBe('ok');
    expect((await put({ if: 'match', etag })).header['code']).toBe('precondition-failed');
    expect((await fetched(owner, 'a'))?.equals(NEW)).toBe(true);
  });

  test('if match finds nothing where nothing stands', async () => {
    const { put } = await start();
    expect((await put({ if: 'match', etag: 'x' })).header['code']).toBe('precondition-failed');
  });

  test('of who may not read is not told the digest', async () => {
    const { owner, put } = await start({ users: { writer: { permissions: ['write', 'delete'] } } });
    await putInline(owner, 'a', OLD);
    const { header } = await put({ if: 'absent' });
    expect(header).toMatchObject({ code: 'exists', etag: expect.any(String) });
    expect(header).not.toHaveProperty('digest');
  });

  test('of who may not read is told the digest only of what it has put there itself, inline', async () => {
    const users = { writer: { permissions: ['write'] as const }, other: { permissions: ['write'] as const } };
    const { put, login } = await start({ users });
    expect((await put({})).header['status']).toBe('ok');
    const expected = way === 'inline' ? fileDigestOf(NEW) : undefined;
    for (const [fields, code] of [
      [{}, 'forbidden'],
      [{ if: 'absent' }, 'exists'],
    ] as const) {
      const own = await put(fields);
      expect(own.header).toMatchObject({ code, etag: expect.any(String) });
      expect(own.header['digest']).toBe(expected);
      const client = await login('other');
      const { header } = await WAYS[way]!([client, client])(fields);
      expect(header).toMatchObject({ code, etag: expect.any(String) });
      expect(header).not.toHaveProperty('digest');
    }
  });

  test('of who may read, but not delete, is told the digest of a small file', async () => {
    const { owner, put } = await start({ users: { adder: { permissions: ['write', 'read'] } } });
    await putInline(owner, 'a', OLD);
    const digest = fileDigestOf(OLD);
    expect((await put({})).header).toMatchObject({ code: 'forbidden', digest });
  });

  test('of who may not delete adds, and replaces nothing', async () => {
    const { owner, put } = await start({ users: { adder: { permissions: ['write', 'read'] } } });
    expect((await put({})).header['status']).toBe('ok');
    await putInline(owner, 'a', OLD);
    expect((await put({})).header['code']).toBe('forbidden');
    expect((await fetched(owner, 'a'))?.equals(OLD)).toBe(true);
  });

  test('does not replace a directory', async () => {
    const { owner, put } = await start();
    await owner.askOk('mkdir', { path: 'a/b' });
    expect((await put({})).header['code']).toBe('is-directory');
  });
});

test.each<[string, Record<string, unknown>, string]>([
  ['a file, if absent', { if: 'absent' }, 'exists'],
  ['a file, if another stood there', { if: 'match', etag: 'another' }, 'precondition-failed'],
  ['a file, for who may not delete', {}, 'forbidden'],
  ['a directory', {}, 'is-directory'],
])('what stands already is told before any data is sent: %s', async (what, fields, code) => {
  const users = { tester: {}, adder: { permissions: ['write', 'read'] as const } };
  const { login, store } = await startTestServer({ users });
  const owner = await login();
  if (what === 'a directory') await owner.askOk('mkdir', { path: 'a' });
  else await putInline(owner, 'a', OLD);
  const client = code === 'forbidden' ? await login('adder') : owner;
  expect((await client.ask('put', { path: 'a', size: null, ...fields })).header['code']).toBe(code);
  expect(await Array.fromAsync(store.uploads())).toEqual([]);
});

test.each<[string, Record<string, unknown>, string]>([
  ['a file, if absent', { if: 'absent' }, 'exists'],
  ['a file, for who may not delete', {}, 'forbidden'],
  ['a directory', {}, 'is-directory'],
])('what came to stand meanwhile is found by the commit: %s', async (what, fields, code) => {
  const users = { tester: {}, adder: { permissions: ['write', 'read'] as const } };
  const { login } = await startTestServer({ users });
  const owner = await login();
  const client = code === 'forbidden' ? await login('adder') : owner;
  const { upload } = await beginUpload(client, 'a', NEW.length, fields);
  await sendBlock(client, upload, 0, NEW);
  if (what === 'a directory') await owner.askOk('mkdir', { path: 'a' });
  else await putInline(owner, 'a', OLD);
  expect((await commit(client, upload, NEW)).header['code']).toBe(code);
});

test.each(['inline', 'in blocks'])('of 20 that put %s if absent at once, exactly one wins', async (way) => {
  const { login } = await startTestServer();
  const clients = await Promise.all(Array.from({ length: 20 }, () => login()));
  const contents = clients.map((_, n) => bytesOf(1_000, n));
  const answers = await Promise.all(
    clients.map(async (client, n) => {
      const content = contents[n]!;
      if (way === 'inline') return putInline(client, 'race', content, { if: 'absent' });
      return inBlocks([client, client], 'race', content, { if: 'absent' });
    }),
  );
  const winners = answers.flatMap(({ header }, n) => (header['status'] === 'ok' ? [n] : []));
  expect(winners).toHaveLength(1);
  const won = contents[winners[0]!]!;
  expect((await fetched(clients[0]!, 'race'))?.equals(won)).toBe(true);
  for (const [n, { header }] of answers.entries())
    if (n !== winners[0]) expect(header).toMatchObject({ code: 'exists', digest: fileDigestOf(won) });
});

describe.each<[action: string, fields: Record<string, unknown>, code: string]>([
  ['move', { path: 'other', to: 'a', if: 'absent' }, 'exists'],
  ['move', { path: 'other', to: 'a', if: 'match', etag: 'another' }, 'precondition-failed'],
  ['symlink', { path: 'a', target: 'other', if: 'absent' }, 'exists'],
  ['symlink', { path: 'a', target: 'other', if: 'match', etag: 'another' }, 'precondition-failed'],
  ['mkdir', { path: 'a' }, 'exists'],
])('%s %j', (action, fields, code) => {
  const start = async () => {
    const { login } = await startTestServer({
      users: { tester: {}, writer: { permissions: ['write', 'delete'] } },
    });
    const owner = await login();
    await putInline(owner, 'other', NEW);
    const { etag } = (await putInline(owner, 'a', OLD)).header;
    return { owner, etag, login };
  };

  test('is told what stands in its way', async () => {
    const { owner, etag } = await start();
    expect((await owner.ask(action, fields)).header).toMatchObject({ code, etag, digest: fileDigestOf(OLD) });
    expect((await fetched(owner, 'a'))?.equals(OLD)).toBe(true);
  });

  test('is not told the digest where it may not read', async () => {
    const { etag, login } = await start();
    const { header } = await (await login('writer')).ask(action, fields);
    expect(header).toMatchObject({ code, etag });
    expect(header).not.toHaveProperty('digest');
  });
});
