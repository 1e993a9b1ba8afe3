import { mkdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';

import type { Client } from '../../src/client/client.ts';
import { failureOf, MIB, noise, send, startSetting } from './setting.ts';

async function clientOf(setting: Awaited<ReturnType<typeof startSetting>>): Promise<Client> {
  return setting.connector().use();
}

test('says who is there, and asks the time', async () => {
  const setting = await startSetting();
  const client = await clientOf(setting);
  expect(client.hello).toMatchObject({ protocol: 1, principal: null, blockSize: MIB, maxRequests: 1_024 });
  expect(client.peer).toMatchObject({ tlsVersion: 'TLSv1.3', alpn: 'sealift/1', isResumed: false });
  expect(client.isAlive).toBe(true);
  expect(Number.isSafeInteger(await client.ping())).toBe(true);
});

test('one that has all its answers is closed without waiting for the server', async () => {
  const setting = await startSetting();
  const client = await clientOf(setting);
  await client.ping();
  // Nothing comes through any more, and the clock of this side stands still.
  setting.proxy.faults = { stallAfterBytes: 1 };
  await client.close();
  expect(client.isAlive).toBe(false);
});

test.each([0, 1, MIB])('%i bytes are echoed', async (length) => {
  const client = await clientOf(await startSetting());
  const content = noise(length);
  expect((await client.echo(content)).equals(content)).toBe(true);
});

test('puts and gets small files, with what belongs to them', async () => {
  const client = await clientOf(await startSetting());
  for (const length of [0, 1, MIB]) {
    const content = noise(length);
    const receipt = await client.put('small', content, { mtimeMs: 5_000, mode: 0o600, durability: 'memory' });
    expect(receipt).toMatchObject({ path: 'small', size: length, mtimeMs: 5_000, durability: 'memory' });
    const got = await client.get('small');
    const { digest, etag } = receipt;
    expect(got).toEqual({ content, digest, mtimeMs: 5_000, mode: 0o600, etag });
    expect(await client.stat('small', { digest: true })).toMatchObject({
      type: 'file',
      size: length,
      digest: receipt.digest,
    });
  }
  await client.sync();
});

test('sends a small file when the turn in which it is put is over, so that many are all begun and gone on with', async () => {
  const client = await clientOf(await startSetting());
  const request = vi.spyOn(client, 'request');
  const putting = client.put('small', noise(5));
  expect(request).not.toHaveBeenCalled();
  await putting;
  expect(request).toHaveBeenCalledOnce();
});

test('a name cut within a character is refused by itself, and what else is under way goes on', async () => {
  const setting = await startSetting();
  const connector = setting.connector();
  const client = await connector.use();
  const cut = 'photo 😀.jpg'.slice(0, 7);
  const failures = [
    send(connector, await setting.local(noise(2 * MIB)), cut),
    client.put(cut, noise(5)),
    client.stat(cut),
    client.move('a', cut),
    client.symlink('link', cut),
    client.search(cut).next(),
  ].map(async (asked) => (await failureOf(asked)).code);
  const going = send(connector, await setting.local(noise(3 * MIB), 'other'), 'whole');
  expect(await Promise.all(failures)).toEqual([
    'bad-name',
    'bad-name',
    'bad-name',
    'bad-name',
    'bad-request',
    'bad-request',
  ]);
  expect((await going).receipt.size).toBe(3 * MIB);
  expect(client.isAlive).toBe(true);
});

test('sends a large file back to those who know how', async () => {
  const setting = await startSetting();
  await setting.remote(noise(MIB + 1), 'large');
  const client = await clientOf(setting);
  expect((await failureOf(client.get('large'))).code).toBe('too-large');
  expect((await failureOf(client.put('large', noise(MIB + 1)))).code).toBe('invalid-argument');
  expect(await client.ping()).toBeGreaterThan(0);
});

test.each([false, true])(
  'takes nothing but bytes from plain JavaScript, compressed: %s',
  async (compress) => {
    const setting = await startSetting();
    const client = await setting.connector({ compress }).use();
    for (const content of ['text', 'ä'.repeat(5_000), 5, undefined] as unknown as Buffer[])
      expect((await failureOf(client.put('small', content))).code).toBe('invalid-argument');
    expect((await failureOf(client.echo('text' as unknown as Buffer))).code).toBe('invalid-argument');
    await client.put('small', new Uint8Array([1, 2, 3]) as Buffer);
    expect([...(await client.get('small')).content]).toEqual([1, 2, 3]);
  },
);

test('makes, moves, links, sets and removes', async () => {
  const setting = await startSetting();
  const { root } = setting;
  const client = await clientOf(setting);
  await client.mkdir('a/b', { mode: 0o750 });
  await client.put('a/b/file', Buffer.from('x'));
  await client.set('a/b/file', { mtimeMs: 7_000, mode: 0o604 });
  expect(await client.stat('a/b/file')).toMatchObject({ mtimeMs: 7_000, mode: 0o604 });
  await client.symlink('a/link', '../outside');
  expect(await readlink(join(root, 'a/link'))).toBe('../outside');
  expect(await client.stat('a/link')).toMatchObject({ type: 'symlink', target: '../outside' });
  await client.move('a/b/file', 'c/moved');
  expect(await readFile(join(root, 'c/moved'), 'utf8')).toBe('x');
  expect((await failureOf(client.move('c/moved', 'a/link', { if: 'absent' }))).code).toBe('exists');
  expect((await failureOf(client.remove('a'))).code).toBe('not-empty');
  await client.remove('a', { recursive: true });
  await client.remove('c/moved');
  expect((await failureOf(client.stat('a'))).code).toBe('not-found');
  expect((await failureOf(client.get('c/moved'))).code).toBe('not-found');
});

test('a condition is kept', async () => {
  const client = await clientOf(await startSetting());
  const { etag, digest } = await client.put('once', Buffer.from('1'), { if: 'absent' });
  const error = await failureOf(client.put('once', Buffer.from('2'), { if: 'absent' }));
  expect(error).toMatchObject({ code: 'exists', details: { etag, digest } });
  await client.put('once', Buffer.from('3'), { if: 'match', etag });
  expect((await failureOf(client.put('once', Buffer.from('4'), { if: 'match', etag }))).code).toBe(
    'precondition-failed',
  );
  expect((await client.get('once')).content.toString()).toBe('3');
});

describe('with more entries than fit a page', () => {
  const DIRECTORIES = 12;
  const FILES = 125;
  const name = (d: number, f: number) => `directory-${d}/${'long '.repeat(40)}${f}`;

  async function filled(given?: Awaited<ReturnType<typeof startSetting>>) {
    const setting = given ?? (await startSetting());
    for (let d = 0; d < DIRECTORIES; d += 1) {
      await mkdir(join(setting.root, `directory-${d}`));
      await Promise.all(
        Array.from({ length: FILES }, (_, f) => writeFile(join(setting.root, name(d, f)), '')),
      );
    }
    return clientOf(setting);
  }

  test('lists and finds them all', async () => {
    const client = await filled();
    const entries = await Array.fromAsync(client.list('', { recursive: true }));
    expect(entries).toHaveLength(DIRECTORIES * (FILES + 1));
    expect(new Set(entries.map(({ path }) => path)).size).toBe(entries.length);
    expect(entries.filter(({ type }) => type === 'directory')).toHaveLength(DIRECTORIES);
    const found = await Array.fromAsync(client.search('long'));
    expect(found.sort()).toEqual(entries.flatMap(({ path, type }) => (type === 'file' ? [path] : [])).sort());
  });

  test.each(['list', 'search'] as const)(
    'who stops to read a %s early can go on with something else',
    async (how) => {
      const client = await filled();
      const items = how === 'list' ? client.list('', { recursive: true }) : client.search('long');
      for await (const item of items) {
        expect(item).toBeTruthy();
        break;
      }
      expect(await client.ping()).toBeGreaterThan(0);
      expect(await Array.fromAsync(client.search('no such name'))).toEqual([]);
    },
  );

  test('an abort between two entries is told, not waited for', async () => {
    const client = await filled();
    const controller = new AbortController();
    const read = async () => {
      for await (const { path } of client.list('', { recursive: true, signal: controller.signal })) {
        if (path !== '') controller.abort();
      }
    };
    expect((await failureOf(read())).code).toBe('aborted');
    expect(await client.ping()).toBeGreaterThan(0);
  });

  test('a connection that is lost between two entries is told', async () => {
    const setting = await startSetting();
    const client = await filled(setting);
    const read = async () => {
      for await (const { path } of client.list('', { recursive: true }))
        if (path !== '') setting.proxy.cutAll();
    };
    expect((await failureOf(read())).code).toBe('connection-lost');
  });
});

test('lists an empty directory, and refuses what is none', async () => {
  const client = await clientOf(await startSetting());
  expect(await Array.fromAsync(client.list(''))).toEqual([]);
  await client.put('file', Buffer.from('x'));
  expect((await failureOf(Array.fromAsync(client.list('file')))).code).toBe('not-directory');
  expect((await failureOf(Array.fromAsync(client.list('nothing')))).code).toBe('not-found');
});

test('closes more than once, and fails afterwards', async () => {
  const client = await clientOf(await startSetting());
  await Promise.all([client.close(), client.close()]);
  await client[Symbol.asyncDispose]();
  expect(client.isAlive).toBe(false);
  expect((await failureOf(client.ping())).code).toBe('aborted');
});

test('what is under way when it is closed says that it was closed here', async () => {
  const client = await clientOf(await startSetting());
  const failures = Array.from({ length: 100 }, () => failureOf(client.put('file', Buffer.alloc(100_000))));
  await client.close();
  for (const error of await Promise.all(failures))
    expect(error).toMatchObject({
      code: 'aborted',
      retryable: false,
      message: 'The connection was closed on this side.',
    });
});
