import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';

import { passSeconds, startAttackedServer } from '../support/attacked-server.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { blockDigestOf, blockRequest, blocksOf, commitRequest, inlinePut } from '../support/raw-files.ts';

const MEBIBYTE = 1_048_576;
const CONTENT = Buffer.alloc(2 * MEBIBYTE + 5, 'c');
const [FIRST] = blocksOf(CONTENT) as [Uint8Array];
const LAST_INDEX = 16 * 2 ** 20 - 1;

describe('hazard 6: lengths that contradict each other', () => {
  const one = Buffer.of(1);
  test.each([
    ['an index beyond the declared size', { index: 3 }, one, 'bad-request'],
    ['an index beyond every file', { index: LAST_INDEX + 1 }, FIRST, 'bad-request'],
    ['an index that is none', { index: -1 }, FIRST, 'bad-request'],
    ['an index that wraps around', { index: 2 ** 32 }, FIRST, 'bad-request'],
    ['a fraction of an index', { index: 0.5 }, FIRST, 'bad-request'],
    ['a short block before the last', { index: 0 }, one, 'bad-request'],
    ['a long last block', { index: 2 }, FIRST, 'bad-request'],
    ['an empty block', { index: 0 }, Buffer.alloc(0), 'bad-request'],
    ['a wrong digest', { digest: blockDigestOf(one) }, FIRST, 'digest-mismatch'],
    ['a digest in capitals', { digest: blockDigestOf(FIRST).toUpperCase() }, FIRST, 'bad-request'],
    ['a digest of another kind', { digest: `md5:${'0'.repeat(64)}` }, FIRST, 'bad-request'],
  ])('%s', async (_, fields, content, code) => {
    const { login, root } = await startAttackedServer();
    const client = await login();
    const { header } = await client.askOk('put', { path: 'file', size: CONTENT.length });
    const { upload } = header;
    expect((await client.ask(...blockRequest(upload, 0, content, fields))).header['code']).toBe(code);
    // The upload lives on, and takes what is right.
    for (const [index, block] of blocksOf(CONTENT).entries())
      await client.askOk(...blockRequest(upload, index, block));
    expect((await client.askOk(...commitRequest(upload, CONTENT))).header['size']).toBe(CONTENT.length);
    expect(statSync(join(root, 'file')).size).toBe(CONTENT.length);
  });

  test.each([
    ['another size', { size: 4 }, 'bad-request'],
    ['no size', { size: null }, 'bad-request'],
    ['a size beyond every file', { size: 2 ** 50 }, 'too-large'],
    ['a negative size', { size: -1 }, 'bad-request'],
    ['another digest', { digest: blockDigestOf(Buffer.of(1)) }, 'digest-mismatch'],
    ['no digest', { digest: undefined }, 'bad-request'],
  ])('a whole file with %s', async (_, fields, code) => {
    const { login, root } = await startAttackedServer();
    const client = await login();
    expect((await client.ask(...inlinePut('file', 'abc', fields))).header['code']).toBe(code);
    expect(existsSync(join(root, 'file'))).toBe(false);
  });

  test.each([
    ['another size than the put', { size: CONTENT.length - 1 }, 'bad-request'],
    ['another digest', { digest: `sha256-1m:${'0'.repeat(64)}` }, 'digest-mismatch'],
    ['a block digest for that of the file', { digest: blockDigestOf(CONTENT) }, 'bad-request'],
  ])('a commit with %s', async (_, fields, code) => {
    const { login, root } = await startAttackedServer();
    const client = await login();
    const { upload } = (await client.askOk('put', { path: 'file', size: CONTENT.length })).header;
    for (const [index, block] of blocksOf(CONTENT).entries())
      await client.askOk(...blockRequest(upload, index, block));
    const [action, right] = commitRequest(upload, CONTENT);
    expect((await client.ask(action, { ...right, ...fields })).header['code']).toBe(code);
    expect(existsSync(join(root, 'file'))).toBe(false);
    await client.askOk(action, right);
  });

  test('a block without id that is refused for whatever reason is named in the error', async () => {
    const { login } = await startAttackedServer();
    const client = await login();
    const { upload } = (await client.askOk('put', { path: 'file', size: CONTENT.length })).header;
    for (const [id, index, content] of [
      ['unknown', 0, FIRST],
      [upload, 3, FIRST],
      [upload, 0, one],
    ] as const) {
      const [action, fields, sent] = blockRequest(id, index, content);
      client.send({ action, ...fields }, sent);
      const { header } = await client.take();
      expect(header).toMatchObject({ status: 'error', upload: id, index });
      expect(header).not.toHaveProperty('id');
    }
  });

  test('of unknown size: short blocks in the middle, and too many of them', async () => {
    const { login } = await startAttackedServer();
    const client = await login();
    const { upload } = (await client.askOk('put', { path: 'file', size: null })).header;
    await client.askOk(...blockRequest(upload, 0, Buffer.of(1)));
    for (const [index, content] of [
      [1, Buffer.of(2)],
      [1, FIRST],
      [100_000, FIRST],
      [LAST_INDEX, Buffer.of(3)],
    ] as const)
      expect((await client.ask(...blockRequest(upload, index, content))).header['code']).toBe('bad-request');
    for (const size of [2, MEBIBYTE + 1, 2 * MEBIBYTE])
      expect((await client.ask(...commitRequest(upload, Buffer.alloc(size)))).header['code']).toBe(
        'incomplete',
      );
  });
});

describe('hazard 7: what decodes to more than it declares', () => {
  const bomb = Buffer.alloc(32 * MEBIBYTE);
  const small = Buffer.from('abc');
  test.each([
    ['a bomb of gzip', 'gzip', gzipSync(bomb), MEBIBYTE],
    ['a bomb of zstd', 'zstd', zstdCompressSync(bomb), MEBIBYTE],
    ['a length of zero', 'gzip', gzipSync(small), 0],
    ['one byte too few', 'zstd', zstdCompressSync(small), 2],
    ['one byte too many', 'gzip', gzipSync(small), 4],
    ['a length beyond a block', 'gzip', gzipSync(bomb), bomb.length],
    ['no length', 'gzip', gzipSync(small), undefined],
    ['a length as text', 'gzip', gzipSync(small), '3'],
    ['something else', 'zstd', small, 3],
    ['half of it', 'gzip', gzipSync(small).subarray(0, 12), 3],
    ['an unknown encoding', 'br', small, 3],
  ])('%s', async (_, contentEncoding, content, length) => {
    const { login, assertAlive } = await startAttackedServer();
    const client = await login();
    const [action, fields] = inlinePut('file', 'abc', { 'decoded-length': length });
    expect((await client.ask(action, fields, { content, contentEncoding })).header['code']).toBe(
      'bad-request',
    );
    await assertAlive();
  });
});

describe('hazard 16: blocks far out', () => {
  const put = { path: 'far', size: (LAST_INDEX + 1) * MEBIBYTE, 'resume-key': '0'.repeat(32) };

  test('are refused or cost no disk, and what is refused changes nothing', async () => {
    const { login, root } = await startAttackedServer();
    const client = await login();
    const { upload } = (await client.askOk('put', put)).header;
    const { header } = await client.ask(...blockRequest(upload, 100_000, FIRST));
    expect(['ok', 'too-large', 'no-space']).toContain(header['code'] ?? header['status']);
    const [data = ''] = readdirSync(join(root, '.sealift/uploads'));
    expect(statSync(join(root, '.sealift/uploads', data)).blocks * 512).toBeLessThan(16 * MEBIBYTE);
    await client.askOk('abort', { upload });
    expect(readdirSync(join(root, '.sealift/uploads'))).toEqual([]);
  });

  // Some file systems take a part of the very last block, and fail then: what is held has to be hashed again.
  test('are not hashed for hours after one that failed, for a client that is gone', async () => {
    const clock = new FakeClock();
    const { login, server } = await startAttackedServer({ clock });
    const [client, witness] = [await login(), await login()];
    const { upload } = (await client.askOk('put', put)).header;
    await client.ask(...blockRequest(upload, LAST_INDEX, FIRST));
    client.begin(...blockRequest(upload, 1, FIRST));
    await client.ask('ping');
    await client.destroy();
    // A client that has ended its side may still wait for its answer; that it is gone shows when it is told how far things are.
    while (server.connectionCount > 1) await passSeconds(1, { clock, witness });
    await server.close({ graceMs: 0 });
  });

  test('are not hashed for hours after a restart, for a client that does not wait for it', async () => {
    const before = await startAttackedServer();
    const first = await before.login();
    const { upload } = (await first.askOk('put', put)).header;
    await first.askOk(...blockRequest(upload, 200_000, FIRST));
    await before.server.close({ graceMs: 0 });

    const clock = new FakeClock(Date.now());
    const { login, server } = await startAttackedServer({ root: before.root, clock });
    const [client, leaving] = [await login(), await login()];
    const waiting = client.begin('put', put);
    await client.askOk('cancel', { target: waiting });
    expect((await client.answer(waiting)).header['code']).toBe('cancelled');
    leaving.begin('put', put);
    await leaving.ask('ping');
    await leaving.destroy();
    while (server.connectionCount > 1) await passSeconds(1, { clock, witness: client });
    // It is let go of, or this would wait for it.
    expect((await client.askOk('put', { ...put, base: 'none' })).header['base']).toBe('none');
  });
});

describe('hazard 17: uploads of others', () => {
  const users = { owner: {}, thief: {} };

  test('nobody else can write to, commit, abort or resume an upload, or learn that there is one', async () => {
    const { login, connect, root } = await startAttackedServer({ users, anonymous: 'write' });
    const owner = await login('owner');
    const key = 'a'.repeat(32);
    const put = { path: 'file', size: CONTENT.length, 'resume-key': key };
    const { upload } = (await owner.askOk('put', put)).header;
    for (const [index, block] of blocksOf(CONTENT).entries())
      await owner.askOk(...blockRequest(upload, index, block));

    const anonymous = await connect();
    await anonymous.hello();
    for (const thief of [await login('thief'), anonymous]) {
      const requests = [
        blockRequest(upload, 0, FIRST),
        commitRequest(upload, CONTENT),
        ['abort', { upload }],
      ] as const;
      for (const [action, fields, content] of requests)
        expect((await thief.ask(action, fields, content)).header).toMatchObject({
          code: 'unknown-upload',
          message: expect.stringContaining('no such upload') as string,
        });
      // The same key and path are another upload when they come from somebody else: nothing is held.
      const own = await thief.askOk('put', { ...put, base: 'partial' });
      expect([own.parts.length, own.header['base']]).toEqual([0, 'none']);
    }
    await owner.askOk(...commitRequest(upload, CONTENT));
    expect(statSync(join(root, 'file')).size).toBe(CONTENT.length);
    // Published, its receipt is told to its owner only.
    expect((await (await login('thief')).ask(...commitRequest(upload, CONTENT))).header['code']).toBe(
      'unknown-upload',
    );
    expect((await (await login('owner')).ask(...commitRequest(upload, CONTENT))).header['status']).toBe('ok');
  });

  test('ids cannot be guessed, and what is none is an upload that does not exist', async () => {
    const { login } = await startAttackedServer();
    const client = await login();
    const ids = new Set<unknown>();
    for (let index = 0; index < 20; index += 1)
      ids.add((await client.askOk('put', { path: 'f', size: CONTENT.length })).header['upload']);
    expect(ids.size).toBe(20);
    for (const id of ids) expect(Buffer.from(String(id), 'base64url').length).toBeGreaterThanOrEqual(16);
    for (const upload of [
      '',
      '.',
      '..',
      '../../users.toml',
      'a/b',
      '\0',
      'x'.repeat(10_000),
      '__proto__',
      '%00',
    ])
      for (const request of [
        blockRequest(upload, 0, FIRST),
        commitRequest(upload, CONTENT),
        ['abort', { upload }],
      ] as const)
        expect((await client.ask(...(request as ReturnType<typeof blockRequest>))).header['code']).toMatch(
          /^(unknown-upload)$/,
        );
  });
});

describe('hazard 18: partial uploads that fill the server', () => {
  test('one principal cannot hold any number of uploads open', async () => {
    const { login } = await startAttackedServer({
      users: { hog: {}, other: {} },
      abandonedUploads: { maxCountPerOwner: 5 },
    });
    const hog = await login('hog');
    const answers = [];
    for (let index = 0; index < 8; index += 1)
      answers.push((await hog.ask('put', { path: `${index}`, size: null })).header);
    expect(answers.map(({ status }) => status)).toEqual([
      ...Array<string>(5).fill('ok'),
      ...Array<string>(3).fill('error'),
    ]);
    expect(answers[7]).toMatchObject({ code: 'busy', retryable: true });
    await (await login('other')).askOk('put', { path: 'x', size: null });
    await hog.askOk('abort', { upload: answers[0]?.['upload'] });
    await hog.askOk('put', { path: 'again', size: null });
  });
});
