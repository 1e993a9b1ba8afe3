import { describe, expect, test } from 'vitest';

import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { RawClient } from '../support/raw-client.ts';
import { bytesOf, putInline } from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

const FILES = ['photos/2024/a', 'photos/2024/may/b', 'photos/2023/c', 'photos/d', 'notes/e', 'notes2/f', 'g'];

async function setUp(prefixes: string[]) {
  const limits = `prefixes = ${JSON.stringify(prefixes)}`;
  const { login } = await startTestServer({ users: { some: { limits }, all: {} }, store: new MemoryStore() });
  const all = await login('all');
  for (const path of FILES) await putInline(all, path, bytesOf(3));
  return { some: await login('some'), all };
}

async function listed(client: RawClient, path: string, recursive: boolean): Promise<string[]> {
  const { parts, content } = await client.askOk('list', { path, recursive });
  const pages = [...parts.map((part) => part.content), content];
  return pages
    .flatMap((page) => (JSON.parse(page.toString()) as { entries: { path: string }[] }).entries)
    .map((entry) => entry.path)
    .sort();
}

describe('whoever is limited to photos/2024 and notes', () => {
  test.each([
    ['', false, ['notes', 'photos']],
    ['photos', false, ['photos/2024']],
    ['photos/2024', false, ['photos/2024/a', 'photos/2024/may']],
    [
      '',
      true,
      ['notes', 'notes/e', 'photos', 'photos/2024', 'photos/2024/a', 'photos/2024/may', 'photos/2024/may/b'],
    ],
    ['photos', true, ['photos/2024', 'photos/2024/a', 'photos/2024/may', 'photos/2024/may/b']],
  ])('sees in %j (recursive: %s) %j', async (path, recursive, expected) => {
    const { some } = await setUp(['photos/2024', 'notes']);
    expect(await listed(some, path, recursive)).toEqual(expected);
  });

  test('finds nothing else', async () => {
    const { some } = await setUp(['photos/2024', 'notes']);
    const { content } = await some.askOk('search', { query: '' });
    const { result } = JSON.parse(content.toString()) as { result: string[] };
    expect(result.sort()).toEqual(['notes/e', 'photos/2024/a', 'photos/2024/may/b']);
  });

  test('is refused elsewhere, whether something stands there or not', async () => {
    const { some } = await setUp(['photos/2024', 'notes']);
    for (const path of ['g', 'nothing', 'notes2', 'notes2/f', 'photos/2023/c', 'photos/d']) {
      for (const [action, fields] of Object.entries({
        get: { path },
        stat: { path },
        digests: { path },
        remove: { path },
        move: { path, to: 'notes/x' },
        mkdir: { path },
        list: { path },
      })) {
        expect((await some.ask(action, fields)).header['code'], `${action} ${path}`).toBe('forbidden');
      }
      expect((await putInline(some, path, bytesOf(1))).header['code']).toBe('forbidden');
      expect((await some.ask('move', { path: 'notes/e', to: path })).header['code']).toBe('forbidden');
    }
  });
});

test('prefixes that hold each other list everything once', async () => {
  const { some } = await setUp(['photos', 'photos/2024', 'photos/2024/may']);
  const below = FILES.filter((path) => path.startsWith('photos/'));
  const directories = ['photos', 'photos/2023', 'photos/2024', 'photos/2024/may'];
  expect(await listed(some, '', true)).toEqual([...below, ...directories].sort());
});

test('a prefix that is a file, and one where nothing stands yet', async () => {
  const { some } = await setUp(['g', 'to/come']);
  expect(await listed(some, '', true)).toEqual(['g']);
  expect((await putInline(some, 'to/come/x', bytesOf(1))).header['status']).toBe('ok');
  expect(await listed(some, '', true)).toEqual(['g', 'to', 'to/come', 'to/come/x']);
  expect((await some.ask('put', { path: 'to/x', size: 1 })).header['code']).toBe('forbidden');
});
