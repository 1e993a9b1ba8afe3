import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';

import { FakeClock } from '../../support/fake-clock.ts';
import type { RawClient } from '../../support/raw-client.ts';
import { bytesOf, putInline } from '../../support/raw-upload.ts';
import { startTestServer } from '../../support/test-server.ts';
import { codeOf, KEY, putText, textOf } from '../../contract/store/samples.ts';
import { storeOfCountedCalls } from './counted-store.ts';

const DEEP = 400;

/** A path of so many directories. */
function deep(depth: number): string {
  return Array.from({ length: depth }, () => 'd').join('/');
}

const UPLOAD = { size: 5, base: 'none', algorithm: 'sha256' } as const;

test('an upload that begins goes down to the nearest directory that stands a few times, however many are missing', async () => {
  const { store, files, counted } = await storeOfCountedCalls();
  await store.mkdir(deep(DEEP), {});
  await putText(store, 'file', 'text');
  const handles = files.openCount;
  files.heal();
  const upload = await store.openUpload(KEY, { ...UPLOAD, path: `${deep(2 * DEEP)}/file` });
  expect(counted('open')).toBeLessThan(3 * DEEP);
  await upload.close();
  expect(await codeOf(store.openUpload(KEY, { ...UPLOAD, path: `file/${deep(DEEP)}` }))).toBe(
    'not-directory',
  );
  expect(files.openCount).toBe(handles);
});

test.each([
  ['put', (client: RawClient, path: string) => putInline(client, path, bytesOf(1))],
  ['mkdir', (client: RawClient, path: string) => client.askOk('mkdir', { path })],
])(
  '%s under a quota counts the directories that are missing by going down a few times',
  async (_, change) => {
    const { store, files, counted } = await storeOfCountedCalls();
    const { login } = await startTestServer({
      store,
      users: { tester: { limits: `quota-files = ${2 * DEEP + 1}` } },
    });
    const client = await login();
    await client.askOk('mkdir', { path: deep(DEEP) });
    files.heal();
    expect((await change(client, `${deep(2 * DEEP)}/name`)).header['status']).toBe('ok');
    expect(counted('open')).toBeLessThan(10 * DEEP);
    const { header } = await client.ask('mkdir', { path: 'e' });
    expect(header['code']).toBe('quota-exceeded');
  },
);

test.each([
  ['a file', false],
  ['a directory that was removed whole', true],
])('versions of %s are found by going down a few times', async (_, isRemoved) => {
  const { store, files, counted } = await storeOfCountedCalls({ keepVersionsMs: 1_000_000 });
  const path = `${deep(DEEP)}/file`;
  await putText(store, path, 'old');
  if (isRemoved) await store.remove('d', { recursive: true });
  else await putText(store, path, 'new');
  const handles = files.openCount;
  for (const [where, recursive] of [
    [path, false],
    ['', true],
  ] as const) {
    files.heal();
    const versions = await Array.fromAsync(store.list(where, { recursive, versions: true }));
    expect(versions).toMatchObject([{ path, size: 3 }]);
    expect(counted('open')).toBeLessThan(8 * DEEP);
    files.heal();
    expect(await textOf(store, path, versions[0]?.version)).toBe('old');
    expect(counted('open')).toBeLessThan(8 * DEEP);
  }
  files.heal();
  expect(await codeOf(store.open(path, { version: '20261121T142608123Z-5a1b9c3d' }))).toBe('not-found');
  expect(counted('open')).toBeLessThan(8 * DEEP);
  expect(files.openCount).toBe(handles);
});

test('versions expire, and the directories that were made for them go, by going down and up once', async () => {
  const clock = new FakeClock();
  const { store, root, files, counted } = await storeOfCountedCalls({ clock, keepVersionsMs: 1_000 });
  const path = `${deep(DEEP)}/file`;
  for (const text of ['old', 'new']) await putText(store, path, text);
  clock.advance(1_001);
  const handles = files.openCount;
  let mostHandles = 0;
  files.heal(() => {
    mostHandles = Math.max(mostHandles, files.openCount - handles);
    return undefined;
  });
  await store.expireVersions();
  expect(readdirSync(root.at('.sealift/versions'))).toEqual([]);
  expect(counted('open')).toBeLessThan(4 * DEEP);
  expect(mostHandles).toBeLessThan(6);
  expect(files.openCount).toBe(handles);
});

test('an expiry that is ended on the way up makes no more than the call that is under way', async () => {
  const clock = new FakeClock();
  const { store, files, counted } = await storeOfCountedCalls({ clock, keepVersionsMs: 1_000 });
  for (const text of ['old', 'new']) await putText(store, `${deep(DEEP)}/file`, text);
  clock.advance(1_001);
  const ended = new AbortController();
  files.heal(({ name }) => {
    // The directories of ids, and the first of the deep ones.
    if (name === 'rmdir' && counted('rmdir') === 4) ended.abort();
    return undefined;
  });
  expect(await codeOf(store.expireVersions({ signal: ended.signal }))).toBe('aborted');
  expect(counted('rmdir')).toBe(4);
});
