import { chmodSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { codeOf, pathsIn, putText } from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { useFileStore } from './file-store.ts';
import { useNobodysRights } from './nobodys-rights.ts';

let files: FaultyFiles;
const subject = useFileStore(() => (files = new FaultyFiles()));

useNobodysRights();

describe('a directory that the server process may not read', () => {
  test.each(['000', '300', '600'])(
    '(mode %s) is passed over by a listing of what is above it',
    async (mode) => {
      const { store, root } = subject;
      for (const name of ['a', 'b', 'c']) await putText(store, `top/${name}/file`, '');
      chmodSync(root.at('top/b'), Number.parseInt(mode, 8));
      const all = await pathsIn(store, '', true);
      expect(all.sort()).toEqual(['top', 'top/a', 'top/a/file', 'top/b', 'top/c', 'top/c/file']);
      expect(await codeOf(pathsIn(store, 'top/b', true))).toBe('forbidden');
      await store.set('top/b', { mode: 0o755 });
      expect(await pathsIn(store, 'top/b')).toEqual(['top/b/file']);
    },
  );

  test('is passed over for that reason only', async () => {
    await putText(subject.store, 'top/b/file', '');
    files.failNamed('open', 'EIO', { path: '/top/b' });
    expect(await codeOf(pathsIn(subject.store, '', true))).toBe('internal');
  });
});

test('bits are set also of what cannot be read', async () => {
  const { store, root } = subject;
  writeFileSync(root.at('file'), '');
  mkdirSync(root.at('directory'));
  for (const name of ['file', 'directory']) {
    chmodSync(root.at(name), 0);
    await store.set(name, { mode: 0o755 });
    expect(lstatSync(root.at(name)).mode & 0o777).toBe(0o755);
  }
});
