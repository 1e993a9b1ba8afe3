import { expect, test } from 'vitest';

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
