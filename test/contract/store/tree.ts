import { expect, test } from 'vitest';
import type { Subject } from '../store.ts';
import { ABSENT, ANY, codeOf, pathsIn, putText, textOf } from './samples.ts';

/** `mkdir`, `move` and `remove`. */
export function treeContract(subject: Subject): void {
  test('mkdir makes a directory and its missing parents', async () => {
    const { store } = subject;
    await store.mkdir('a/b/c', { mode: 0o700, mtimeMs: 5000 });
    expect(await pathsIn(store, '', true)).toEqual(['a', 'a/b', 'a/b/c']);
    expect(await store.stat('a/b/c')).toMatchObject({
      type: 'directory',
      size: 0,
      mode: 0o700,
      mtimeMs: 5000,
    });
  });

  test('bits are kept as they are asked for, but for what the owner needs to read', async () => {
    const { store } = subject;
    const modes = async (...paths: string[]) =>
      Promise.all(paths.map(async (path) => (await store.stat(path)).mode.toString(8)));
    await store.mkdir('directory', { mode: 0 });
    await putText(store, 'directory/file', 'text', { mode: 0o044 });
    expect(await modes('directory', 'directory/file')).toEqual(['500', '444']);
    await store.set('directory', { mode: 0o055 });
    await store.set('directory/file', { mode: 0o111 });
    expect(await modes('directory', 'directory/file')).toEqual(['555', '511']);
    for (const mode of ['777', '755', '555', '544', '500']) {
      await store.set('directory', { mode: Number.parseInt(mode, 8) });
      await store.set('directory/file', { mode: Number.parseInt(mode, 8) });
      expect(await modes('directory', 'directory/file')).toEqual([mode, mode]);
    }
  });

  test('what stands nearest above a path is told, however much is missing', async () => {
    const { store } = subject;
    await store.mkdir('a/b', {});
    await putText(store, 'a/file', 'text');
    await store.symlink('a/link', 'b', ANY);
    const nearest = Object.fromEntries(
      await Promise.all(
        ['a', 'x/y/z', 'a/x', 'a/file', 'a/b/x', 'a/b/x/y/z', 'a/b', 'a/file/x', 'a/link/x/y'].map(
          async (path) => [path, await store.nearest(path)],
        ),
      ),
    );
    expect(nearest).toEqual({
      a: '',
      'x/y/z': '',
      'a/x': 'a',
      'a/file': 'a',
      'a/b/x': 'a/b',
      'a/b/x/y/z': 'a/b',
      'a/b': 'a',
      'a/file/x': 'a/file',
      'a/link/x/y': 'a/link',
    });
  });

  test('mkdir of what stands already changes nothing', async () => {
    const { store } = subject;
    await store.mkdir('a', { mode: 0o700 });
    await putText(store, 'a/file', 'text');
    const before = await store.stat('a');
    await store.mkdir('a', { mode: 0o755, mtimeMs: 5000 });
    await store.mkdir('', {});
    expect(await store.stat('a')).toEqual(before);
    expect(await textOf(store, 'a/file')).toBe('text');
  });

  test('mkdir in the place of a file or a link, or below a file', async () => {
    const { store } = subject;
    await putText(store, 'file', 'text');
    await store.mkdir('directory', {});
    await store.symlink('link', 'directory', ANY);
    for (const path of ['file', 'link']) {
      const { etag } = await store.stat(path);
      await expect(store.mkdir(path, {})).rejects.toMatchObject({ code: 'exists', details: { etag } });
    }
    expect(await codeOf(store.mkdir('file/below', {}))).toBe('not-directory');
    expect(await textOf(store, 'file')).toBe('text');
  });

  test('a file moves, and missing parents are made', async () => {
    const { store } = subject;
    await putText(store, 'file', 'text', { mode: 0o604, mtimeMs: 1000 });
    await store.move('file', 'a/b/moved', ABSENT);
    expect(await pathsIn(store, '', true)).toEqual(['a', 'a/b', 'a/b/moved']);
    expect(await store.stat('a/b/moved')).toMatchObject({ mode: 0o604, mtimeMs: 1000 });
    expect(await textOf(store, 'a/b/moved')).toBe('text');
  });

  test('a file takes the place of a file', async () => {
    const { store } = subject;
    await putText(store, 'file', 'new');
    await putText(store, 'target', 'old');
    const reader = await store.open('target');
    await store.move('file', 'target', ANY);
    expect(await textOf(store, 'target')).toBe('new');
    expect(await codeOf(store.stat('file'))).toBe('not-found');
    const target = Buffer.alloc(3);
    await reader.read(target, 0, 3);
    expect(target.toString()).toBe('old');
    await reader.close();
  });

  test('a directory moves with all in it', async () => {
    const { store } = subject;
    await putText(store, 'a/b/file', 'text');
    await store.symlink('a/link', 'b', ANY);
    await store.move('a', 'c/d', ABSENT);
    expect((await pathsIn(store, '', true)).sort()).toEqual(['c', 'c/d', 'c/d/b', 'c/d/b/file', 'c/d/link']);
    expect(await textOf(store, 'c/d/b/file')).toBe('text');
  });

  test('what moves to where it stands stays', async () => {
    const { store } = subject;
    await putText(store, 'file', 'text');
    await store.move('file', 'file', ANY);
    expect(await codeOf(store.move('file', 'file', ABSENT))).toBe('exists');
    expect(await textOf(store, 'file')).toBe('text');
  });

  test('a directory takes the place of an empty directory only', async () => {
    const { store } = subject;
    await putText(store, 'a/file', 'text');
    await store.mkdir('empty', {});
    await putText(store, 'full/file', 'other');
    await putText(store, 'file', 'other');
    expect(await codeOf(store.move('a', 'full', ANY))).toBe('not-empty');
    expect(await codeOf(store.move('a', 'file', ANY))).toBe('not-directory');
    expect(await codeOf(store.move('file', 'empty', ANY))).toBe('is-directory');
    expect(await codeOf(store.move('a/file', 'a', ANY))).toBe('is-directory');
    expect(await textOf(store, 'a/file')).toBe('text');
    expect(await textOf(store, 'full/file')).toBe('other');
    await store.move('a', 'empty', ANY);
    expect(await textOf(store, 'empty/file')).toBe('text');
  });

  test('a directory moves into nothing that lies in it, but beside what begins like it', async () => {
    const { store } = subject;
    await putText(store, 'a/b/file', 'text');
    expect(await codeOf(store.move('a', 'a/c', ANY))).toBe('bad-request');
    expect(await codeOf(store.move('a', 'a/b/c', ANY))).toBe('bad-request');
    await store.move('a', 'a-evil', ANY);
    expect(await textOf(store, 'a-evil/b/file')).toBe('text');
  });

  test('what is not there does not move, and nothing is made for it', async () => {
    const { store } = subject;
    await putText(store, 'file', 'text');
    expect(await codeOf(store.move('missing', 'new/target', ANY))).toBe('not-found');
    expect(await codeOf(store.move('missing/below', 'new/target', ANY))).toBe('not-found');
    expect(await codeOf(store.move('file/below', 'new/target', ANY))).toBe('not-directory');
    expect(await codeOf(store.move('file', 'file/below', ANY))).toBe('bad-request');
    expect(await pathsIn(store, '', true)).toEqual(['file']);
  });

  test('remove takes away a file, an empty directory, and a full one if it is asked to', async () => {
    const { store } = subject;
    await putText(store, 'a/b/file', 'text');
    await putText(store, 'a-evil/file', 'text');
    await store.mkdir('a/empty', {});
    expect(await codeOf(store.remove('a', { recursive: false }))).toBe('not-empty');
    await store.remove('a/empty', { recursive: false });
    await store.remove('a/b/file', { recursive: false });
    expect(await pathsIn(store, 'a', true)).toEqual(['a/b']);
    await store.remove('a', { recursive: true });
    expect((await pathsIn(store, '', true)).sort()).toEqual(['a-evil', 'a-evil/file']);
    await store.remove('a-evil/file', { recursive: true });
    expect(await pathsIn(store, '', true)).toEqual(['a-evil']);
    await store.mkdir('a', {});
    expect(await pathsIn(store, 'a')).toEqual([]);
  });

  test('what is not there is not removed', async () => {
    const { store } = subject;
    await putText(store, 'file', 'text');
    for (const recursive of [true, false]) {
      expect(await codeOf(store.remove('missing', { recursive }))).toBe('not-found');
      expect(await codeOf(store.remove('missing/below', { recursive }))).toBe('not-found');
      expect(await codeOf(store.remove('file/below', { recursive }))).toBe('not-directory');
    }
    expect(await textOf(store, 'file')).toBe('text');
  });

  test('of those who remove or move one file at once, exactly one succeeds', async () => {
    const { store } = subject;
    await putText(store, 'file', 'text');
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 5 }, () => store.remove('file', { recursive: false })),
      ...Array.from({ length: 5 }, (_, index) => store.move('file', `target ${index}`, ANY)),
    ]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'not-found' });
    }
  });

  test('of those who move to one name at once where nothing may stand, exactly one wins', async () => {
    const { store } = subject;
    const sources = Array.from({ length: 8 }, (_, index) => `source ${index}`);
    for (const source of sources) await putText(store, source, source);
    const outcomes = await Promise.allSettled(sources.map((source) => store.move(source, 'target', ABSENT)));
    const winner = sources.filter((_, index) => outcomes[index]?.status === 'fulfilled');
    expect(winner).toEqual([await textOf(store, 'target')]);
    expect(await pathsIn(store, '')).toHaveLength(sources.length);
  });
}
