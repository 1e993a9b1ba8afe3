import { expect, test } from 'vitest';
import { seededRandom } from '../../../src/random.ts';
import { OPEN } from '../../../src/storage/fs/file-system.ts';
import { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { describeStoreContract } from '../../contract/store.ts';
import { FaultyFiles } from '../faulty-files.ts';
import { DISK_ROOT, ModelDisk } from './model-disk.ts';

// What a store does on it is what it does on a real one.
describeStoreContract('FileStore on a model disk', async (options) => {
  const files = new ModelDisk();
  const open = () => FileStore.open({ root: DISK_ROOT, files, ...options });
  let store = await open();
  return {
    store,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      return (store = await open());
    },
    close: () => store[Symbol.asyncDispose](),
  };
});

const at = (name: string) => `${DISK_ROOT}/${name}`;
const random = seededRandom(1);

/** What each of the names reads after each of many losses of power; undefined where nothing stands. */
async function outcomes(disk: ModelDisk, ...names: string[]): Promise<Set<string>> {
  const seen = new Set<string>();
  for (let trial = 0; trial < 300; trial += 1) {
    const after = disk.afterPowerFailure({ random, survival: random.fraction() });
    const texts = await Promise.all(names.map((name) => textOf(after, name)));
    seen.add(texts.join(' | '));
  }
  return seen;
}

async function textOf(disk: ModelDisk, name: string): Promise<string> {
  const file = await disk.open(at(name), OPEN.read).catch(() => undefined);
  if (file === undefined) return 'nothing';
  const target = Buffer.alloc(100);
  return target
    .toString('utf8', 0, await file.read(target, 0, 100))
    .replaceAll('\0', '0')
    .slice(0, 4);
}

async function made(disk: ModelDisk, name: string, text: string, isSynced = true): Promise<void> {
  const file = await disk.open(at(name), OPEN.create);
  await file.write(Buffer.from(text), 0);
  if (isSynced) await file.sync();
  await file.close();
}

async function syncDirectory(disk: ModelDisk, name = '.'): Promise<void> {
  const directory = await disk.open(at(name), OPEN.directory);
  await directory.sync();
  await directory.close();
}

test('what a failed sync has lost is seen until the power fails, whatever is synced later', async () => {
  const disk = new ModelDisk();
  await made(disk, 'file', 'old');
  await syncDirectory(disk);
  const files = new FaultyFiles(disk);
  const file = await files.open(at('file'), OPEN.update);
  await file.write(Buffer.from('new'), 0);
  files.failNamed('file.sync', 'EIO');
  await expect(file.sync()).rejects.toThrow('EIO');
  await file.sync();
  expect(await textOf(disk, 'file')).toBe('new');
  expect(await outcomes(disk, 'file')).toEqual(new Set(['old']));
});

test('a file is sure once it is synced, and its name once its directory is', async () => {
  const disk = new ModelDisk();
  await made(disk, 'file', 'text');
  expect(await outcomes(disk, 'file')).toEqual(new Set(['nothing', 'text']));
  await syncDirectory(disk);
  expect(await outcomes(disk, 'file')).toEqual(new Set(['text']));
});

test('what was not synced may be there, not there, zeros, or of another file', async () => {
  const disk = new ModelDisk();
  await made(disk, 'file', 'text', false);
  await syncDirectory(disk);
  expect(await outcomes(disk, 'file')).toEqual(new Set(['', 'text', '0000', 'of a']));
});

test('a page is torn only between sectors', async () => {
  const disk = new ModelDisk();
  await made(disk, 'file', 'a'.repeat(1_024));
  disk.syncAll();
  const file = await disk.open(at('file'), OPEN.update);
  await file.write(Buffer.from('b'.repeat(1_024)), 0);
  const seen = new Set<string>();
  for (let trial = 0; trial < 300; trial += 1) {
    const after = await disk.afterPowerFailure({ random, survival: 0.5 }).open(at('file'), OPEN.read);
    const target = Buffer.alloc(1_024);
    await after.read(target, 0, 1_024);
    seen.add(target.toString().replaceAll(/(.)\1{511}/g, '$1'));
  }
  expect(seen).toEqual(new Set(['aa', 'ab', 'ba', 'bb']));
});

test('a rename is atomic, also between directories, of which each brings it to the disk', async () => {
  for (const synced of ['.', 'directory']) {
    const disk = new ModelDisk();
    await made(disk, 'file', 'text');
    disk.syncAll();
    await disk.mkdir(at('directory'), 0o755);
    await disk.rename(at('file'), at('directory/file'));
    expect(await outcomes(disk, 'file', 'directory/file')).toEqual(
      new Set(['text | nothing', 'nothing | text']),
    );
    await syncDirectory(disk, synced);
    expect(await outcomes(disk, 'file', 'directory/file')).toEqual(new Set(['nothing | text']));
  }
});

test('names that do not depend on each other are kept in any combination', async () => {
  const disk = new ModelDisk();
  await made(disk, 'one', 'text');
  disk.syncAll();
  await disk.link(at('one'), at('two'));
  await disk.unlink(at('one'));
  expect(await outcomes(disk, 'one', 'two')).toEqual(
    new Set(['text | nothing', 'text | text', 'nothing | text', 'nothing | nothing']),
  );
});

test('a name is kept only with what was done under it before', async () => {
  const disk = new ModelDisk();
  await made(disk, 'one', 'text');
  await disk.rename(at('one'), at('two'));
  await disk.rename(at('two'), at('three'));
  expect(await outcomes(disk, 'one', 'two', 'three')).toEqual(
    new Set([
      'nothing | nothing | nothing',
      'text | nothing | nothing',
      'nothing | text | nothing',
      'nothing | nothing | text',
    ]),
  );
});

test('a directory whose own name is not on the disk loses what is in it', async () => {
  const disk = new ModelDisk();
  await disk.mkdir(at('directory'), 0o755);
  await made(disk, 'directory/file', 'text');
  await syncDirectory(disk, 'directory');
  expect(await outcomes(disk, 'directory/file')).toEqual(new Set(['nothing', 'text']));
  await syncDirectory(disk);
  expect(await outcomes(disk, 'directory/file')).toEqual(new Set(['text']));
});
