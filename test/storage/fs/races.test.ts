import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ANY, codeOf, pathsIn, putText, textOf } from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { useFileStore } from './file-store.ts';

// Other programs work in the same directory: what happens between two calls of the store.
let files: FaultyFiles;
const subject = useFileStore(() => (files = new FaultyFiles()));

/** Lets `happening` happen right before the first call `name` about a path that ends with `path`. */
function before(name: string, path: string, happening: () => void): void {
  let isDue = true;
  files.heal((call) => {
    if (isDue && call.name === name && call.path.endsWith(path)) {
      isDue = false;
      happening();
    }
    return undefined;
  });
}

test.each<[string, () => void, string[]]>([
  ['removed', () => unlinkSync(subject.root.at('link')), ['other']],
  [
    'replaced by a file',
    () => {
      unlinkSync(subject.root.at('link'));
      writeFileSync(subject.root.at('link'), 'a file now');
    },
    ['link', 'other'],
  ],
])('a link that is %s while it is listed breaks no listing', async (_, happening, expected) => {
  await subject.store.symlink('link', 'target', ANY);
  await putText(subject.store, 'other', '');
  before('readlink', '/link', happening);
  expect((await pathsIn(subject.store, '')).sort()).toEqual(expected);
});

test('a link that another takes the place of while it is looked at is the one or the other', async () => {
  const { store, root } = subject;
  await store.symlink('link', 'one', ANY);
  before('readlink', '/link', () => {
    symlinkSync('two', root.at('aside'));
    renameSync(root.at('aside'), root.at('link'));
  });
  expect(['one', 'two']).toContain((await store.stat('link')).target);
});

test.each<[string, () => void]>([
  ['vanishes', () => undefined],
  ['becomes a file', () => writeFileSync(subject.root.at('a', 'sub'), '')],
  ['becomes a link', () => symlinkSync('/', subject.root.at('a', 'sub'))],
])('a directory that %s while its parent is listed is left out', async (_, happening) => {
  const { store, root } = subject;
  await putText(store, 'a/sub/file', '');
  before('open', '/a/sub', () => {
    rmSync(root.at('a', 'sub'), { recursive: true });
    happening();
  });
  expect(await pathsIn(store, 'a', true)).toEqual(['a/sub']);
  expect(await codeOf(pathsIn(store, 'a/sub'))).toMatch(/^not-(found|directory)$/);
});

test('the directory that was asked for is missed if it vanishes', async () => {
  await subject.store.mkdir('a', {});
  before('open', '/a', () => rmSync(subject.root.at('a'), { recursive: true }));
  expect(await codeOf(pathsIn(subject.store, 'a'))).toBe('not-found');
});

test.each<[string, () => void, string]>([
  ['a link', () => symlinkSync('/etc/passwd', subject.root.at('file')), 'not-directory'],
  ['a FIFO', () => execFileSync('mkfifo', [subject.root.at('file')]), 'not-found'],
  ['a directory', () => mkdirSync(subject.root.at('file')), 'is-directory'],
  ['nothing', () => undefined, 'not-found'],
])('a file in whose place %s is put right before it is opened is not read', async (_, happening, code) => {
  await putText(subject.store, 'file', 'text');
  before('open', '/file', () => {
    unlinkSync(subject.root.at('file'));
    happening();
  });
  expect(await codeOf(subject.store.open('file'))).toBe(code);
  expect(files.openCount).toBe(5);
});

test('a parent that is moved away meanwhile takes the file along, and no link leads it elsewhere', async () => {
  const { store, root } = subject;
  await putText(store, 'a/other', '');
  files.heal(({ name, path }) => {
    if (name === 'file.close' && path.includes('inline-')) {
      renameSync(root.at('a'), root.at('moved'));
      mkdirSync(root.at('elsewhere'));
      symlinkSync(root.at('elsewhere'), root.at('a'));
    }
    return undefined;
  });
  await putText(store, 'a/file', 'text');
  files.heal();
  expect(await textOf(store, 'moved/file')).toBe('text');
  expect(await pathsIn(store, 'elsewhere')).toEqual([]);
});

test('a directory that somebody else makes at the same time is as good', async () => {
  before('mkdir', '/a', () => mkdirSync(subject.root.at('a')));
  await putText(subject.store, 'a/file', 'text');
  expect(await textOf(subject.store, 'a/file')).toBe('text');
  before('mkdir', '/b', () => writeFileSync(subject.root.at('b'), ''));
  expect(await codeOf(putText(subject.store, 'b/file', 'text'))).toBe('not-directory');
});

test('a link is in the way of a directory, whatever the system calls it', async () => {
  await subject.store.symlink('link', 'target', ANY);
  files.failNamed('open', 'ELOOP', { path: '/link' });
  expect(await codeOf(subject.store.mkdir('link', {}))).toBe('exists');
});

test('a file that is removed as soon as it stands was not published', async () => {
  let isNamed = false;
  files.heal(({ name, path }) => {
    if (isNamed && name === 'lstat' && path.endsWith('/file')) unlinkSync(subject.root.at('file'));
    isNamed ||= name === 'rename';
    return undefined;
  });
  expect(await codeOf(putText(subject.store, 'file', 'text'))).toBe('not-found');
});

test('a directory of which a part cannot be deleted stands where it stood', async () => {
  const { store } = subject;
  await putText(store, 'a/file', 'text');
  files.heal(({ name }) => (name === 'removeTree' ? 'EACCES' : undefined));
  expect(await codeOf(store.remove('a', { recursive: true }))).toBe('forbidden');
  expect(await textOf(store, 'a/file')).toBe('text');
  files.heal();
  await store.remove('a', { recursive: true });
  expect(await pathsIn(store, '')).toEqual([]);
});

test('a directory whose place is taken while it is being deleted is deleted when the store opens', async () => {
  const { store, root } = subject;
  await putText(store, 'a/file', 'text');
  files.heal(({ name }) => {
    if (name !== 'removeTree') return undefined;
    mkdirSync(root.at('a'));
    writeFileSync(root.at('a', 'new'), '');
    return 'EIO';
  });
  expect(await codeOf(store.remove('a', { recursive: true }))).toBe('internal');
  files.heal();
  expect(await pathsIn(store, '', true)).toEqual(['a', 'a/new']);
  await subject.reopen();
  expect(await pathsIn(subject.store, '', true)).toEqual(['a', 'a/new']);
});
