import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  MAX_PUT_BYTES,
  MAX_READ_BYTES,
  type SmallFileBatch,
} from '../../../src/storage/fs/small-file-messages.ts';
import { beginThread, SmallFiles } from '../../../src/storage/fs/small-files.ts';
import type { Publication } from '../../../src/storage/store.ts';
import { blockDigest, smallFileDigest } from '../../../src/transfer/digests.ts';
import { ABSENT, ANY, codeOf, publication } from '../../contract/store/samples.ts';
import { temporaryRoot, type TemporaryRoot } from '../temporary-root.ts';
import { directoryNode } from './directory-node.ts';
import { beginInSameThread } from './same-thread.ts';

const OLD_DIGEST = smallFileDigest('sha256', 3, blockDigest('sha256', Buffer.from('old')));

describe.each([
  ['in a thread', beginThread],
  ['in this thread', beginInSameThread],
])('%s', (_where, begin) => {
  let root: TemporaryRoot;
  let outside: TemporaryRoot;
  let files: SmallFiles;
  let made: string[];
  let count = 0;

  beforeEach(async () => {
    root = temporaryRoot();
    outside = temporaryRoot();
    made = [];
    const directories = {
      makingElsewhere: () => undefined,
      madeElsewhere: (paths: readonly string[] = []) => void made.push(...paths),
    };
    files = new SmallFiles(root.path, directories, begin);
    await files.start();
  });
  afterEach(async () => {
    await files.close();
    root.remove();
    outside.remove();
  });

  const temporary = () => root.at(`temporary-${(count += 1)}`);
  const put = async (path: string, content: string | Buffer, options: Partial<Publication> = ANY) => {
    const whole = { ...publication(path), durability: 'memory' as const, ...options };
    const answer = await files.put(temporary(), whole, Buffer.from(content));
    if (answer === 'staged') throw new Error(`${path} replaces a file.`);
    return answer;
  };

  async function contentOf(path: string): Promise<string | undefined> {
    const file = await files.read(path);
    if (file === undefined) return undefined;
    const content = Buffer.alloc(file.entry.size);
    await file.read(content, 0, content.length);
    await file.assertUnchanged();
    await file.close();
    return content.toString();
  }

  test('many at once are published and read, each with what belongs to it', async () => {
    const node = await directoryNode(root.path);
    const names = Array.from({ length: 300 }, (_, index) => `d${index % 7}/f${index}`);
    const entries = await Promise.all(names.map((name) => put(name, name, { mtimeMs: -5_123, mode: 0o640 })));
    expect(entries.map((entry) => entry?.path)).toEqual(names);
    expect(entries[299]).toMatchObject({
      type: 'file',
      size: 'd5/f299'.length,
      mtimeMs: -5_123,
      mode: 0o640,
    });
    expect(await Promise.all(names.map(contentOf))).toEqual(names);
    expect(made).toEqual(Array.from({ length: 7 }, () => node));
    expect(readdirSync(root.path).filter((name) => name.startsWith('temporary'))).toEqual([]);
  });

  test('the digests of many at once are told, each with what belongs to it', async () => {
    mkdirSync(root.at('d'));
    const names = Array.from({ length: 100 }, (_, index) => `d/f${index}`);
    for (const name of names) writeFileSync(root.at(name), name);
    for (const algorithm of ['sha256', 'blake3'] as const) {
      const expected = names.map((name) =>
        smallFileDigest(algorithm, name.length, blockDigest(algorithm, Buffer.from(name))),
      );
      expect(await Promise.all(names.map((name) => files.digest(name, algorithm)))).toEqual(expected);
    }
  });

  test('many go over in batches of 16, or of half a MiB, two of them at once', async () => {
    const batches: number[] = [];
    let answered = 0;
    let mostAtOnce = 0;
    const told: string[] = [];
    const directories = {
      makingElsewhere: () => void told.push('making'),
      madeElsewhere: () => void told.push('made'),
    };
    const begun = new SmallFiles(root.path, directories, (where) => {
      const thread = begin(where);
      const post = thread.postMessage.bind(thread);
      thread.on('message', () => (answered += 1));
      thread.postMessage = (message: SmallFileBatch, ...rest: []) => {
        batches.push((JSON.parse(message.items) as unknown[]).length);
        // The first answer says that the thread works.
        mostAtOnce = Math.max(mostAtOnce, batches.length - (answered - 1));
        post(message, ...rest);
      };
      return thread;
    });
    await begun.start();
    const names = Array.from({ length: 40 }, (_, index) => `f${index}`);
    const putAll = names.map((name) =>
      begun.put(temporary(), { ...publication(name), ...ANY, durability: 'memory' }, Buffer.from(name)),
    );
    expect(await Promise.all(putAll)).toMatchObject(names.map((path) => ({ path })));
    expect(batches).toEqual([16, 16, 8]);
    expect(mostAtOnce).toBe(2);
    batches.length = 0;
    const large = Buffer.alloc(MAX_PUT_BYTES, 'x');
    const putLarge = names
      .slice(0, 6)
      .map((name) =>
        begun.put(temporary(), { ...publication(`${name} large`), ...ANY, durability: 'memory' }, large),
      );
    await Promise.all(putLarge);
    expect(Math.max(...batches)).toBe(2);
    expect(readFileSync(root.at('f5 large'))).toEqual(large);
    // While a batch is at work nothing is certain, also when the one before was answered.
    expect(told.join(' ')).not.toContain('made made');
    expect(told.at(-1)).toBe('made');
    await begun.close();
  });

  test('names are changed in their order, also where a directory goes that is worked in', async () => {
    const changes: Parameters<SmallFiles['change']>[0][] = [
      { kind: 'mkdir', path: 'e', attributes: { mode: 0o750, mtimeMs: 5_000 } },
      { kind: 'symlink', path: 'e/link', target: 'anywhere', options: ANY },
      { kind: 'set', path: 'e/link', attributes: { mtimeMs: 6_000 } },
      { kind: 'remove', path: 'e/link' },
      { kind: 'remove', path: 'e' },
      { kind: 'symlink', path: 'e/again', target: 'anywhere', options: ANY },
      { kind: 'set', path: 'e', attributes: { mode: 0o700 } },
    ];
    const answers = await Promise.all(changes.map((change) => files.change(change)));
    expect(answers.map((answer) => answer?.entry?.path)).toEqual([
      ...['e', 'e/link', undefined, undefined],
      ...[undefined, 'e/again', undefined],
    ]);
    expect(answers).not.toContain(undefined);
    expect(answers[0]?.entry).toMatchObject({ type: 'directory', mode: 0o750, mtimeMs: 5_000 });
    expect(answers[1]?.entry).toMatchObject({ type: 'symlink', target: 'anywhere' });
    expect(readdirSync(root.at('e'))).toEqual(['again']);
    expect(statSync(root.at('e')).mode & 0o777).toBe(0o700);
  });

  describe('is left to the ordinary way', () => {
    test.each<[string, () => Promise<unknown>]>([
      ['what has to reach the disk at once', () => put('new', 'x', { durability: 'disk' })],
      [
        'a link that replaces a file',
        () => files.change({ kind: 'symlink', path: 'old', target: 'x', options: ANY }),
      ],
      ['what is too large to be put', () => put('new', Buffer.alloc(MAX_PUT_BYTES + 1))],
      ['what is too large to be read', () => contentOf('large')],
      ['what is too large to be hashed', () => files.digest('large', 'sha256')],
    ])('%s', async (_, task) => {
      writeFileSync(root.at('old'), 'old');
      writeFileSync(root.at('large'), Buffer.alloc(MAX_READ_BYTES + 1));
      expect(await task()).toBeUndefined();
      expect(readFileSync(root.at('old'), 'utf8')).toBe('old');
      expect(readdirSync(root.path)).not.toContain('new');
    });

    test('everything, once the thread has ended', async () => {
      await files.close();
      expect(await put('new', 'x')).toBeUndefined();
      expect(await contentOf('new')).toBeUndefined();
      expect(await files.digest('old', 'sha256')).toBeUndefined();
    });

    test('also what was under way when it ended', async () => {
      writeFileSync(root.at('old'), 'old');
      const pending = [put('a', 'a'), put('b', 'b')];
      const digest = files.digest('old', 'sha256');
      await files.close();
      expect([undefined, OLD_DIGEST]).toContain(await digest);
      for (const entry of await Promise.all(pending)) expect([undefined, 'a', 'b']).toContain(entry?.path);
    });
  });

  describe('fails as it would elsewhere', () => {
    test.each<[string, string, () => Promise<unknown>]>([
      ['exists', 'where nothing may stand', () => put('old', 'x', ABSENT)],
      ['is-directory', 'on a directory', () => put('directory', 'x')],
      ['not-directory', 'below a file', () => put('old/x', 'x')],
      ['not-directory', 'through a link', () => put('link/x', 'x')],
      ['not-directory', 'read through a link', () => contentOf('link/secret')],
      ['bad-request', 'read of a link', () => contentOf('link')],
      ['not-found', 'read of nothing', () => contentOf('nothing')],
      ['not-directory', 'digest through a link', () => files.digest('link/secret', 'sha256')],
      ['bad-request', 'digest of a link', () => files.digest('link', 'sha256')],
      ['is-directory', 'digest of a directory', () => files.digest('directory', 'sha256')],
      ['bad-name', 'with a name of the service', () => put('.sealift/x', 'x')],
      ['not-empty', 'removal', () => files.change({ kind: 'remove', path: 'full' })],
      ['not-found', 'removal of nothing', () => files.change({ kind: 'remove', path: 'nothing' })],
      [
        'not-directory',
        'attributes through a link',
        () => files.change({ kind: 'set', path: 'link/secret', attributes: { mode: 0o777 } }),
      ],
      ['exists', 'a directory', () => files.change({ kind: 'mkdir', path: 'old', attributes: {} })],
      [
        'bad-name',
        'a directory of the service',
        () => files.change({ kind: 'mkdir', path: '.sealift/x', attributes: {} }),
      ],
      [
        'forbidden',
        'where something stands and nothing may be replaced',
        () => put('old', 'x', { mayReplace: false }),
      ],
    ])('%s: %s', async (code, _, task) => {
      writeFileSync(root.at('old'), 'old');
      mkdirSync(root.at('directory'));
      mkdirSync(root.at('full/of'), { recursive: true });
      writeFileSync(outside.at('secret'), 'secret');
      symlinkSync(outside.path, root.at('link'));
      expect(await codeOf(task())).toBe(code);
      expect(readFileSync(root.at('old'), 'utf8')).toBe('old');
      expect(readdirSync(outside.path)).toEqual(['secret']);
      // And it goes on.
      expect(await put('after', 'x')).toMatchObject({ path: 'after' });
      expect(statSync(root.at('after')).size).toBe(1);
    });
  });

  describe('a listing', () => {
    const list = (path: string) => files.list(path, { recursive: true }) ?? [];

    test('of many pages has everything once, while files are published', async () => {
      const names = Array.from({ length: 1_500 }, (_, index) => `f${index}`);
      mkdirSync(root.at('many'));
      for (const name of names) writeFileSync(root.at(`many/${name}`), name);
      const found: string[] = [];
      for await (const { path } of list('many')) {
        found.push(path);
        if (found.length % 500 === 1) expect(await put(`beside/${found.length}`, 'x')).toBeDefined();
      }
      expect(found.sort()).toEqual(names.map((name) => `many/${name}`).sort());
    });

    test('of names that no path can say tells how many', async () => {
      for (const path of ['a', 'a/b']) mkdirSync(root.at(path));
      for (const path of ['a/b/bell\u0007', 'a/b/line\n', 'a/x\t']) writeFileSync(root.at(path), '');
      const told: Record<string, number> = {};
      const onUnlisted = (directory: string, count: number) => (told[directory] = count);
      await Array.fromAsync(files.list('a', { recursive: true, onUnlisted }) ?? []);
      expect(told).toEqual({ a: 1, 'a/b': 2 });
    });

    test('that nobody wants to the end leaves no directory open', async () => {
      for (let directory = 0; directory < 20; directory += 1) {
        mkdirSync(root.at(`d${directory}`));
        for (let file = 0; file < 100; file += 1) writeFileSync(root.at(`d${directory}/${file}`), '');
      }
      const openDirectories = () =>
        readdirSync('/proc/self/fd').filter((fd) => {
          try {
            return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${root.path}/d`);
          } catch {
            return false;
          }
        });
      for (let time = 0; time < 5; time += 1)
        for await (const { type } of list('')) if (type === 'file') break;
      // What comes behind the word to stop has been done after it.
      expect(await contentOf('d0/0')).toBe('');
      expect(openDirectories()).toEqual([]);
    });

    test('of nothing is not-found, and one whose thread ends fails', async () => {
      expect(await codeOf(Array.fromAsync(list('nothing')))).toBe('not-found');
      // More than the thread has ready before it is asked again.
      for (let file = 0; file < 1_600; file += 1) writeFileSync(root.at(`${file}`), '');
      const listing = files.list('', { recursive: true });
      await listing?.next();
      await files.close();
      expect(await codeOf(Array.fromAsync(listing ?? []))).toBe('internal');
      expect(files.list('', { recursive: true })).toBeUndefined();
    });
  });
});
