import { linkSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Entry, PublishedRecord } from '../../../src/storage/store.ts';
import {
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
} from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { useFileStore } from './file-store.ts';

let files: FaultyFiles;
const subject = useFileStore(() => (files = new FaultyFiles()));

const recordPath = () => subject.root.at('.sealift', 'published', 'upload-1');

async function publish(path: string, durability: 'disk' | 'memory' = 'disk'): Promise<Entry> {
  const upload = await uploadOf(subject.store, uploadOptions(path), { 0: Buffer.from('text') });
  return upload.publish(publication(path, { durability }), 4, record(path, 4, { durability }));
}

/** What the record says when the process dies right after the file got its name. */
function intentOf(path: string, given: Partial<PublishedRecord> = {}): string {
  const { ino, mtimeNs } = statSync(subject.root.at(path), { bigint: true });
  const { id: _, ...remembered } = record(path, 4, { durability: 'disk', ...given });
  return `${JSON.stringify({ record: remembered, inode: String(ino), mtimeNs: String(mtimeNs) })}\n`;
}

function withoutRun(text: string): string {
  return text.replace(/,"run":"[0-9a-f]{32}"/, '');
}

test('a record says first what is intended, then what was done', async () => {
  const entry = await publish('a/file');
  const lines = readFileSync(recordPath(), 'utf8').split('\n');
  expect(withoutRun(`${lines[0]}\n`)).toBe(intentOf('a/file'));
  expect(JSON.parse(lines[1] ?? '')).toEqual(entry);
  expect(lines.slice(2)).toEqual(['']);
});

test('what an earlier run published in memory is not known: a loss of power may have taken its bytes', async () => {
  await publish('file', 'memory');
  expect(await subject.store.published('upload-1')).toMatchObject({ path: 'file' });
  await subject.reopen();
  expect(await subject.store.published('upload-1')).toBeUndefined();
});

describe('of a process that died before it could say that it was done', () => {
  test('the publication is found by its inode', async () => {
    const entry = await putText(subject.store, 'a/file', 'text');
    writeFileSync(recordPath(), intentOf('a/file'));
    await subject.reopen();
    const { id, ...expected } = record('a/file', 4, { durability: 'disk', entry });
    expect(await subject.store.published(id)).toEqual(expected);
  });

  test('the way to the name is synced before it is told, if it has to last', async () => {
    await putText(subject.store, 'a/b/file', 'text');
    writeFileSync(recordPath(), intentOf('a/b/file'));
    files.heal();
    expect(await subject.store.published('upload-1')).toMatchObject({ durability: 'disk' });
    const synced = files.calls.filter(({ name }) => name === 'file.sync').map(({ path }) => path);
    const { root } = subject;
    expect(synced.sort()).toEqual([root.path, root.at('a'), root.at('a', 'b')]);
  });

  test.each<[string, () => Promise<unknown> | void]>([
    ['replaced', () => putText(subject.store, 'a/file', 'text', { mtimeMs: 1000 })],
    ['removed', () => subject.store.remove('a/file', { recursive: false })],
    ['removed with its directory', () => subject.store.remove('a', { recursive: true })],
    ['moved', () => subject.store.move('a/file', 'b', { condition: { if: 'any' }, mayReplace: true })],
    [
      'taken by a link',
      () => subject.store.symlink('a/file', 'b', { condition: { if: 'any' }, mayReplace: true }),
    ],
    ['written to', () => writeFileSync(subject.root.at('a', 'file'), 'longer text')],
    [
      'written to, with the time that it had',
      async () => {
        writeFileSync(subject.root.at('a', 'file'), 'longer text');
        await subject.store.set('a/file', { mtimeMs: 1000 });
      },
    ],
    ['given another time', () => subject.store.set('a/file', { mtimeMs: 2000 })],
    [
      'below a file now',
      async () => {
        await subject.store.remove('a', { recursive: true });
        await putText(subject.store, 'a', 'text');
      },
    ],
  ])('it is not found if the file was %s since', async (_, change) => {
    await putText(subject.store, 'a/file', 'text', { mtimeMs: 1000 });
    writeFileSync(recordPath(), intentOf('a/file'));
    await change();
    const before = await pathsIn(subject.store, '', true);
    expect(await subject.store.published('upload-1')).toBeUndefined();
    expect(await pathsIn(subject.store, '', true)).toEqual(before);
  });

  test('it is not found if the file never got its name', async () => {
    const upload = await uploadOf(subject.store, uploadOptions('file'), { 0: Buffer.from('text') });
    await upload.close();
    writeFileSync(
      recordPath(),
      intentOf(`.sealift/uploads/${KEY}`).replace(`.sealift/uploads/${KEY}`, 'file'),
    );
    expect(await subject.store.published('upload-1')).toBeUndefined();
    const again = await subject.store.openUpload(KEY, uploadOptions('file'));
    await again.write(0, Buffer.from('text'));
    await again.publish(publication('file'), 4, record('file', 4));
    expect(await subject.store.published('upload-1')).toMatchObject({ path: 'file' });
  });

  test('the upload whose name could not be taken away any more does not go on once the file is removed', async () => {
    await publish('file');
    linkSync(subject.root.at('file'), subject.root.at('.sealift', 'uploads', KEY));
    await subject.reopen();
    await subject.store.remove('file', { recursive: false });
    const upload = await subject.store.openUpload(KEY, uploadOptions('file', { size: 4 }));
    expect(upload.base).toBe('none');
    await upload.discard();
  });

  test('the upload whose name could not be taken away any more does not write into the file', async () => {
    await publish('file');
    linkSync(subject.root.at('file'), subject.root.at('.sealift', 'uploads', KEY));
    await subject.reopen();
    const upload = await subject.store.openUpload(KEY, uploadOptions('file', { size: 3 }));
    expect(upload.base).toBe('none');
    await upload.write(0, Buffer.from('new'));
    expect(await textOf(subject.store, 'file')).toBe('text');
    await upload.discard();
    expect(await textOf(subject.store, 'file')).toBe('text');
  });

  test.each([
    ['nothing', () => ''],
    ['half of the first line', () => intentOf('a/file').slice(0, 40)],
    ['all of the first line but its end', () => intentOf('a/file').slice(0, -1)],
    ['zeros, as after a loss of power', () => '\0'.repeat(200)],
    ['a first line that is none', () => '{"record":\n'],
  ])('it is not found if the record holds %s', async (_, content) => {
    await putText(subject.store, 'a/file', 'text');
    writeFileSync(recordPath(), content());
    expect(await subject.store.published('upload-1')).toBeUndefined();
  });

  test.each([
    ['half of the second line', '{"path":"a/fi'],
    ['a second line that is none', '{"path":\n'],
  ])('it is found by the first line if the record holds %s', async (_, second) => {
    const entry = await putText(subject.store, 'a/file', 'text');
    writeFileSync(recordPath(), `${intentOf('a/file')}${second}`);
    expect(await subject.store.published('upload-1')).toMatchObject({ entry });
  });
});

test('a record that cannot be finished fails no publication, and is found all the same', async () => {
  files.failNamed('open', 'EMFILE', { occurrence: 2, path: '/published/upload-1' });
  const entry = await publish('file');
  expect(await textOf(subject.store, 'file')).toBe('text');
  expect(await subject.store.published('upload-1')).toMatchObject({ entry });
  expect(withoutRun(readFileSync(recordPath(), 'utf8'))).toBe(intentOf('file'));
});

test('a publication that failed is not remembered, even if its record stays', async () => {
  let isNamed = false;
  files.heal(({ name }) => {
    isNamed ||= name === 'rename';
    return isNamed && ['rename', 'unlink'].includes(name) ? 'EIO' : undefined;
  });
  expect(await codeOf(publish('file'))).toBe('internal');
  files.heal();
  expect(readdirSync(subject.root.at('.sealift', 'published'))).toEqual(['upload-1']);
  expect(await subject.store.published('upload-1')).toBeUndefined();
  await publish('file');
  expect(await subject.store.published('upload-1')).toMatchObject({ path: 'file' });
});

test('a publication that may not last is not remembered, although the file stands', async () => {
  files.failNamed('file.sync', 'EIO', { path: subject.root.path });
  expect(await codeOf(publish('file'))).toBe('internal');
  files.heal();
  expect(await textOf(subject.store, 'file')).toBe('text');
  expect(await subject.store.published('upload-1')).toBeUndefined();
});

test('a record that an attempt left behind is in nobody’s way', async () => {
  writeFileSync(recordPath(), 'of an attempt that died');
  await publish('file');
  expect(await subject.store.published('upload-1')).toMatchObject({ path: 'file' });
});

test('an id that is no file name publishes nothing', async () => {
  const upload = await uploadOf(subject.store, uploadOptions('file'), { 0: Buffer.from('text') });
  const given = record('file', 4, { id: '../uploads/mine' });
  expect(await codeOf(upload.publish(publication('file'), 4, given))).toBe('internal');
  expect(await codeOf(subject.store.stat('file'))).toBe('not-found');
  expect(await uploadKeys(subject.store)).toEqual([KEY]);
});

test('a record that another process removes while they are forgotten is passed over', async () => {
  await publish('file');
  files.heal((call) => {
    if (call.name === 'lstat' && call.path.endsWith('upload-1'))
      renameSync(recordPath(), subject.root.at('elsewhere'));
    return undefined;
  });
  await subject.store.forgetPublished(Number.MAX_SAFE_INTEGER);
  files.heal();
  expect(await subject.store.published('upload-1')).toBeUndefined();
});
