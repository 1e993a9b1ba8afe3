import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, renameSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  ABSENT,
  ANY,
  codeOf,
  KEY,
  pathsIn,
  publication,
  putText,
  record,
  uploadOf,
  uploadOptions,
} from '../../contract/store/samples.ts';
import { useFileStore } from './file-store.ts';

const subject = useFileStore();

describe('what is no file, directory or link', () => {
  let kinds: string[];
  let server: ReturnType<typeof createServer>;

  beforeEach(async () => {
    const { root, store } = subject;
    await putText(store, 'source', 'source');
    execFileSync('mkfifo', [root.at('fifo')]);
    server = createServer().listen(root.at('socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    kinds = ['fifo', 'socket'];
    // Only root may make a device; /dev/full, by its numbers, would fail every write.
    if (process.getuid?.() === 0) {
      execFileSync('mknod', [root.at('device'), 'c', '1', '7']);
      kinds.push('device');
    }
  });
  afterEach(() => void server.close());

  test('is not shown', async () => {
    expect(await pathsIn(subject.store, '', true)).toEqual(['source']);
    for (const kind of kinds) expect(await codeOf(subject.store.stat(kind))).toBe('not-found');
  });

  test('is neither opened, which could wait for ever, nor changed', async () => {
    const { store, root } = subject;
    for (const kind of kinds) {
      expect(await codeOf(store.open(kind))).toBe('not-found');
      expect(await codeOf(store.set(kind, { mode: 0o600, mtimeMs: 0 }))).toBe('not-found');
      expect(await codeOf(store.remove(kind, { recursive: true }))).toBe('not-found');
      expect(await codeOf(store.move(kind, 'target', ANY))).toBe('not-found');
      expect(await codeOf(pathsIn(store, kind))).toBe('not-directory');
      expect(await codeOf(putText(store, `${kind}/below`, ''))).toBe('not-directory');
      expect(await codeOf(store.mkdir(kind, {}))).toBe('exists');
      await store.sync([kind]);
      const upload = store.openUpload(KEY, uploadOptions(kind, { base: 'existing' }));
      expect(await codeOf(upload)).toBe('exists');
    }
    expect(readdirSync(root.path).sort()).toEqual(['.sealift', 'source', ...kinds].sort());
  });

  test('is in the way of what may not replace anything', async () => {
    for (const kind of kinds) expect(await codeOf(putText(subject.store, kind, '', ABSENT))).toBe('exists');
  });

  test.each([true, false])(
    'is not destroyed by what is put in its place (mayReplace: %s)',
    async (mayReplace) => {
      const { store, root } = subject;
      const options = { ...ANY, mayReplace };
      const matching = { condition: { if: 'match' as const, etag: 'any' }, mayReplace };
      for (const kind of kinds) {
        const before = lstatSync(root.at(kind));
        expect(await codeOf(putText(store, kind, 'new', options))).toBe('exists');
        expect(await codeOf(putText(store, kind, 'new', matching))).toBe('precondition-failed');
        expect(await codeOf(store.symlink(kind, 'source', options))).toBe('exists');
        expect(await codeOf(store.move('source', kind, options))).toBe('exists');
        // It came while the upload was sent.
        const upload = await uploadOf(store, uploadOptions('late'), { 0: Buffer.from('new') });
        renameSync(root.at(kind), root.at('late'));
        const published = upload.publish(publication('late', options), 3, record('late', 3));
        expect(await codeOf(published)).toBe('exists');
        await upload.discard();
        renameSync(root.at('late'), root.at(kind));
        const { ino, mode } = lstatSync(root.at(kind));
        expect({ ino, mode }).toEqual({ ino: before.ino, mode: before.mode });
      }
      expect(await pathsIn(store, '', true)).toEqual(['source']);
    },
  );
});
