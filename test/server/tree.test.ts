import { link, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';

import { FileStore } from '../../src/storage/fs/fs-store.ts';
import type { RawAnswer, RawClient } from '../support/raw-client.ts';
import { bytesOf, fetched, putInline } from '../support/raw-upload.ts';
import { startDirectoryServer, startTestServer, temporaryDirectory } from '../support/test-server.ts';

const CONTENT = bytesOf(100);

let server: Awaited<ReturnType<typeof startTestServer>>;
let client: RawClient;
beforeEach(async () => {
  server = await startTestServer({
    users: { tester: {}, adder: { permissions: ['write', 'list', 'read'] } },
  });
  client = await server.login();
  await putInline(client, 'dir/file', CONTENT);
  await putInline(client, 'file', CONTENT);
});

/** The entries of all pages of a listing. */
function entriesIn({ parts, content }: RawAnswer): Record<string, unknown>[] {
  return [...parts.map((part) => part.content), content].flatMap(
    (page) => (JSON.parse(page.toString()) as { entries: Record<string, unknown>[] }).entries,
  );
}
function resultIn({ parts, content }: RawAnswer): string[] {
  return [...parts.map((part) => part.content), content].flatMap(
    (page) => (JSON.parse(page.toString()) as { result: string[] }).result,
  );
}
const paths = async () =>
  entriesIn(await client.askOk('list', { path: '', recursive: true }))
    .map(({ path }) => path)
    .sort();

test.each<[string, Record<string, unknown>, string]>([
  ['remove', { path: 'none' }, 'not-found'],
  ['remove', { path: 'dir' }, 'not-empty'],
  ['remove', { path: '' }, 'bad-name'],
  ['move', { path: 'none', to: 'x' }, 'not-found'],
  ['move', { path: 'dir', to: 'dir/x' }, 'bad-request'],
  ['move', { path: 'file', to: 'dir/file', if: 'absent' }, 'exists'],
  ['move', { path: 'file', to: 'dir/file', if: 'match', etag: 'other' }, 'precondition-failed'],
  ['move', { path: 'file', to: 'dir/file', if: 'match' }, 'bad-request'],
  ['move', { path: 'file', to: 'dir' }, 'is-directory'],
  ['mkdir', { path: 'file' }, 'exists'],
  ['mkdir', { path: 'file/x' }, 'not-directory'],
  ['set', { path: 'none', 'mtime-ms': 1 }, 'not-found'],
  ['symlink', { path: 'file', target: 'x', if: 'absent' }, 'exists'],
  ['symlink', { path: 'dir', target: 'x' }, 'is-directory'],
  ['symlink', { path: 'x', target: '' }, 'bad-request'],
  ['list', { path: 'none' }, 'not-found'],
  ['list', { path: 'file' }, 'not-directory'],
  ['list', { path: '', versions: true }, 'unsupported'],
])('%s %j is refused, and changes nothing', async (action, fields, code) => {
  const before = await paths();
  expect((await client.ask(action, fields)).header).toMatchObject({ status: 'error', code });
  expect(await paths()).toEqual(before);
});

test.each<[string, Record<string, unknown>, string[]]>([
  ['remove', { path: 'file' }, ['dir', 'dir/file']],
  ['remove', { path: 'dir', recursive: true }, ['file']],
  ['move', { path: 'file', to: 'new/deep' }, ['dir', 'dir/file', 'new', 'new/deep']],
  ['move', { path: 'dir', to: 'moved' }, ['file', 'moved', 'moved/file']],
  ['move', { path: 'file', to: 'dir/file' }, ['dir', 'dir/file']],
  ['mkdir', { path: 'a/b' }, ['a', 'a/b', 'dir', 'dir/file', 'file']],
  ['mkdir', { path: 'dir' }, ['dir', 'dir/file', 'file']],
  ['symlink', { path: 'link', target: '../x' }, ['dir', 'dir/file', 'file', 'link']],
])('%s %j', async (action, fields, expected) => {
  await client.askOk(action, fields);
  expect(await paths()).toEqual(expected);
});

test('set changes times and permission bits', async () => {
  await client.askOk('set', { path: 'file', 'mtime-ms': 5_000, mode: 0o4751 });
  const { header } = await client.askOk('stat', { path: 'file' });
  expect(header).toMatchObject({ 'mtime-ms': 5_000, mode: 0o751 });
  expect((await fetched(client, 'file'))?.equals(CONTENT)).toBe(true);
});

test('a link whose target does not fit a header is listed, and the connection outlives that it is asked for', async () => {
  const target = '\u0001'.repeat(4_000);
  await server.store.symlink('link', target, { condition: { if: 'any' }, mayReplace: true });
  expect((await client.ask('stat', { path: 'link' })).header).toMatchObject({
    status: 'error',
    code: 'unsupported',
    retryable: false,
  });
  const entries = entriesIn(await client.askOk('list', { path: '' }));
  expect(entries.find(({ path }) => path === 'link')).toMatchObject({ target });
});

test('the longest target of a link is one that a file system takes, and a longer one leaves no directories behind', async () => {
  const { connect, root } = await startDirectoryServer({ anonymous: 'write' });
  const guest = await connect();
  await guest.hello({});
  const longest = 'x/'.repeat(2_047) + 'x';
  await guest.askOk('symlink', { path: 'made/link', target: longest });
  expect(await readlink(join(root, 'made/link'))).toBe(longest);
  expect((await guest.ask('symlink', { path: 'new/link', target: `${longest}x` })).header).toMatchObject({
    code: 'bad-request',
    message: expect.stringContaining('target'),
  });
  expect(await readdir(root)).not.toContain('new');
});

test('who may not delete replaces nothing with a link', async () => {
  const adder = await server.login('adder');
  expect((await adder.ask('symlink', { path: 'file', target: 'x' })).header['code']).toBe('forbidden');
  await adder.askOk('symlink', { path: 'new', target: 'x' });
});

describe('listings', () => {
  test('one level tells what stands there, with its attributes', async () => {
    await client.askOk('symlink', { path: 'link', target: 'x' });
    const entries = entriesIn(await client.askOk('list', { path: '' }));
    const byPath = Object.fromEntries(entries.map((entry) => [entry['path'], entry]));
    expect(Object.keys(byPath).sort()).toEqual(['dir', 'file', 'link']);
    expect(byPath['file']).toEqual({
      path: 'file',
      type: 'file',
      size: 100,
      'mtime-ms': expect.any(Number),
      mode: expect.any(Number),
      etag: expect.any(String),
    });
    expect(byPath['link']).toMatchObject({ type: 'symlink', target: 'x' });
    expect(entriesIn(await client.askOk('list', { path: 'dir' }))).toMatchObject([{ path: 'dir/file' }]);
  });

  test('many entries come in pages, each of which is whole JSON that fits a content', async () => {
    const { store, login } = await startTestServer();
    const names = Array.from({ length: 3_000 }, (_, n) => `${n}-${'x'.repeat(200)}`);
    for (const path of names)
      await store.put(
        { path, durability: 'memory', condition: { if: 'any' }, mayReplace: true },
        Buffer.alloc(0),
      );
    const reader = await login();
    const listing = await reader.askOk('list', { path: '' });
    expect(listing.parts.length).toBeGreaterThan(2);
    expect(entriesIn(listing).map(({ path }) => path)).toEqual(names);
    const search = await reader.askOk('search', { query: 'x' });
    expect(search.parts.length).toBeGreaterThan(1);
    expect(resultIn(search)).toEqual(names);
  });

  test.each([
    ['file', ['dir/file', 'file']],
    ['dir', ['dir/file']],
    ['*', ['file']],
    ['**', ['dir/file', 'file']],
    ['**/f?le', ['dir/file']],
    ['*/file', ['dir/file']],
    ['f*e', ['file']],
    ['[f]ile', []],
    ['{file,dir}', []],
    ['F*E', []],
    ['d*e', []],
    ['FILE', []],
  ])('search %j finds files, by part or by pattern', async (query, expected) => {
    expect(resultIn(await client.askOk('search', { query })).sort()).toEqual(expected);
  });

  test('a pattern made to be slow is answered all the same', async () => {
    await putInline(client, 'a'.repeat(200), CONTENT);
    expect(resultIn(await client.askOk('search', { query: `${'*a'.repeat(400)}b` }))).toEqual([]);
  });
});

test.each([0, 60_000])(
  'a move onto another name of the same file leaves that alone (versions kept for %i ms)',
  async (keepVersionsMs) => {
    const root = await temporaryDirectory();
    const store = await FileStore.open({ root, keepVersionsMs });
    onTestFinished(() => store[Symbol.asyncDispose]());
    const { login } = await startTestServer({ store });
    const mover = await login();
    await putInline(mover, 'dir/file', CONTENT);
    await link(join(root, 'dir/file'), join(root, 'dir/again'));
    await link(join(root, 'dir/file'), join(root, 'again'));
    await mover.askOk('move', { path: 'dir/file', to: 'dir/again' });
    expect(await readdir(join(root, 'dir'))).toEqual(['again']);
    await mover.askOk('move', { path: 'dir/again', to: 'again' });
    expect(await readdir(join(root, 'dir'))).toEqual([]);
    expect(await fetched(mover, 'again')).toEqual(CONTENT);
  },
);
