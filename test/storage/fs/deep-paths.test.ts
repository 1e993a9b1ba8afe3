import { expect, test } from 'vitest';

import type { RawClient } from '../../support/raw-client.ts';
import { bytesOf, putInline } from '../../support/raw-upload.ts';
import { startTestServer } from '../../support/test-server.ts';
import { codeOf, KEY, putText } from '../../contract/store/samples.ts';
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
