import { expect, test } from 'vitest';
import type { Store } from '../../../src/storage/store.ts';
import type { Subject } from '../store.ts';
import {
  ANY,
  codeOf,
  KEY,
  pathsIn,
  publication,
  putText,
  record,
  textOf,
  uploadKeys,
  uploadOf,
  uploadOptions,
} from './samples.ts';

const GOOD_NAMES: Record<string, string> = {
  'with spaces': ' a name with spaces ',
  'with quotes': `"it's"\``,
  'with an emoji': '🚢 sealift 👩‍🚀',
  'that looks like an option': '-rf',
  'of 255 bytes': 'n'.repeat(255),
  'of 255 bytes in 85 characters': '語'.repeat(85),
  'that looks like a home': '~',
  'that looks like a variable': '$HOME',
  'that looks encoded': '%2e%2e%2f',
  'with a backslash': 'a\\b',
  'with three dots': '...',
  'that looks hidden': '.hidden',
  'in letters that have two forms': 'é e\u0301',
  'that only begins like an own name': '.sealift-evil',
};

const BAD_PATHS: Record<string, string> = {
  'a parent': '..',
  'a way through a parent': 'a/../b',
  'the directory itself': 'a/.',
  'an absolute path': '/etc/passwd',
  'a slash at the end': 'a/',
  'an empty component': 'a//b',
  'a NUL': 'a\0b',
  'a newline': 'a\nb',
  'an escape': 'a\u001b[31m',
  'a DEL': 'a\u007f',
  'a C1 character': 'a\u0085b',
  'a lone surrogate': 'a\ud800',
  'a component of 256 bytes': 'n'.repeat(256),
  'a component of 256 bytes in 86 characters': `${'語'.repeat(85)}x`,
  'a path of 5000 bytes': `${'directory/'.repeat(499)}something`,
  'the own name': '.sealift',
  'a way through the own name': '.sealift/uploads',
  'the own name below the root': 'below/.sealift',
  'a way through the own name below the root': 'a/b/.Sealift/identity/key.pem',
  'the own name in capitals': '.SeaLift/published',
  'the own name in wide letters': '.ｓealift',
  'the own name with what is not seen': '.sea\u200clift',
};

/** Everything that is asked for by a path. */
const OPERATIONS: Record<string, (store: Store, path: string) => Promise<unknown>> = {
  stat: (store, path) => store.stat(path),
  list: (store, path) => pathsIn(store, path),
  open: (store, path) => store.open(path),
  put: (store, path) => putText(store, path, ''),
  openUpload: (store, path) => store.openUpload(KEY, uploadOptions(path)),
  remove: (store, path) => store.remove(path, { recursive: true }),
  'move from': (store, path) => store.move(path, 'target', ANY),
  'move to': (store, path) => store.move('source', path, ANY),
  mkdir: (store, path) => store.mkdir(path, {}),
  set: (store, path) => store.set(path, { mtimeMs: 0 }),
  symlink: (store, path) => store.symlink(path, 'target', ANY),
  sync: (store, path) => store.sync([path]),
};

/** Which names there can be, and that no other is of any use. */
export function namesContract(subject: Subject): void {
  test.each(Object.entries(GOOD_NAMES))('a name %s is a name like any other', async (_, name) => {
    const { store } = subject;
    await putText(store, name, 'text');
    expect(await textOf(store, name)).toBe('text');
    expect(await pathsIn(store, '', true)).toContain(name);
    expect((await store.stat(name)).path).toBe(name);
    await putText(store, name, 'replaced', { durability: 'disk' });
    await store.move(name, `moved/${name}`, ANY);
    expect(await textOf(store, `moved/${name}`)).toBe('replaced');
    const upload = await uploadOf(store, uploadOptions(name), { 0: Buffer.from('sent') });
    await upload.publish(publication(name), 4, record(name, 4));
    expect(await textOf(store, name)).toBe('sent');
    await store.remove(name, { recursive: false });
    await store.remove(`moved/${name}`, { recursive: false });
    expect(await codeOf(store.stat(name))).toBe('not-found');
  });

  test('names that differ in case or form are different, or are told to be the same', async () => {
    const { store } = subject;
    await putText(store, 'Name', 'upper');
    await putText(store, 'name', 'lower');
    const names = await pathsIn(store, '');
    expect([['Name', 'name'], ['Name']]).toContainEqual(names.sort());
    expect(await textOf(store, 'name')).toBe('lower');
  });

  test.each(Object.entries(BAD_PATHS))('%s is no name for anything', async (_, path) => {
    const { store } = subject;
    await putText(store, 'source', 'text');
    const codes: Record<string, string> = {};
    for (const [name, operation] of Object.entries(OPERATIONS))
      codes[name] = await codeOf(operation(store, path));
    expect(codes).toEqual(Object.fromEntries(Object.keys(OPERATIONS).map((name) => [name, 'bad-name'])));
    expect(await pathsIn(store, '', true)).toEqual(['source']);
    expect(await uploadKeys(store)).toEqual([]);
  });

  test.each(['put', 'openUpload', 'remove', 'move from', 'move to', 'set', 'symlink'])(
    'the root is no name for %s',
    async (name) => {
      const { store } = subject;
      await putText(store, 'source', 'text');
      expect(await codeOf(OPERATIONS[name]?.(store, '') ?? Promise.resolve())).toBe('bad-name');
      expect(await pathsIn(store, '', true)).toEqual(['source']);
      expect(await uploadKeys(store)).toEqual([]);
    },
  );

  test('what the store keeps for itself is never shown', async () => {
    const { store } = subject;
    const upload = await uploadOf(store, uploadOptions('file'), { 0: Buffer.from('text') });
    expect(await pathsIn(store, '', true)).toEqual([]);
    await upload.publish(publication('file'), 4, record('file', 4));
    expect(await pathsIn(store, '', true)).toEqual(['file']);
    expect(await pathsIn(await subject.reopen(), '', true)).toEqual(['file']);
  });
}
