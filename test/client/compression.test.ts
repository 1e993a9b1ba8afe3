import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';

import { streamSource } from '../../src/client/block-source.ts';
import { upload } from '../../src/client/upload.ts';
import { HELLO, startScriptedServer, type Script } from '../support/scripted-server.ts';
import { temporaryDirectory } from '../support/test-server.ts';
import { AT_ONCE, connectorTo, failureOf, fetchTo, MIB, noise, send, startSetting } from './setting.ts';

/** As a log is: no two places are the same, and it shrinks to less than a third. */
function text(length: number): Buffer {
  const digits = noise(Math.ceil(length / 8)).toString('hex');
  const lines = digits.replace(/.{8}/g, (some) => `the request was answered in ${some} ms\n`);
  return Buffer.from(lines).subarray(0, length);
}

const mixed = Buffer.concat([text(MIB), noise(2 * MIB), text(MIB + 5), noise(6 * MIB), text(MIB)]);
const COMPRESSING = { compress: true };
const OVERHEAD = 30_000;

describe('with compression', () => {
  test.each([
    { what: 'text', content: text(9 * MIB + 5), share: 0.4 },
    { what: 'noise', content: noise(9 * MIB), share: 1 },
    { what: 'both', content: mixed, share: 0.9 },
    { what: 'a little text', content: text(50_000), share: 0.4 },
    { what: 'a block of text', content: text(MIB), share: 0.4 },
    { what: 'a byte after a block', content: text(MIB + 1), share: 0.4 },
    { what: 'a byte', content: Buffer.from('x'), share: 1 },
    { what: 'nothing', content: Buffer.alloc(0), share: 1 },
  ])('$what goes there and comes back', async ({ content, share }) => {
    const { connector, local, root, directory, proxy } = await startSetting();
    const there = connector(COMPRESSING);
    const { sentBytes, receipt } = await send(there, await local(content), 'file');
    expect(sentBytes).toBe(content.length);
    expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
    expect(proxy.bytesUp).toBeLessThan(content.length * share + OVERHEAD);

    const target = join(directory, 'target');
    const fetched = await fetchTo(there, 'file', target);
    expect(fetched).toMatchObject({ receivedBytes: content.length, digest: receipt.digest });
    expect((await readFile(target)).equals(content)).toBe(true);
    expect(proxy.bytesDown).toBeLessThan(content.length * share + OVERHEAD);
    if (content.length <= MIB)
      expect((await (await there.use()).get('file')).content.equals(content)).toBe(true);
  });

  test.each(['up', 'down'] as const)('it goes on when it is cut on the way %s', async (direction) => {
    const content = text(16 * MIB);
    const { connector, local, remote, root, directory, proxy } = await startSetting({
      cut: { afterBytes: 600_000, mode: 'fin', direction, times: 2 },
    });
    const target = join(directory, 'target');
    if (direction === 'up') {
      const { retries, sentBytes } = await send(connector(COMPRESSING), await local(content), 'file');
      expect(retries).toBe(2);
      expect(sentBytes - content.length).toBeLessThanOrEqual(2 * 2 * MIB);
      expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
    } else {
      await remote(content);
      expect(await fetchTo(connector(COMPRESSING), 'file', target)).toMatchObject({ retries: 2 });
      expect((await readFile(target)).equals(content)).toBe(true);
    }
    expect(proxy.connections).toBe(3);
  });

  test('a stream and several connections go together with it', async () => {
    const { connector, root, proxy } = await startSetting();
    const source = streamSource(Readable.from([mixed, mixed]));
    await upload(connector(COMPRESSING), source, 'file', { streams: 3 });
    expect((await readFile(join(root, 'file'))).equals(Buffer.concat([mixed, mixed]))).toBe(true);
    expect(proxy.bytesUp).toBeLessThan(2 * mixed.length * 0.95);
  });

  test('a rate holds for what travels', async () => {
    const { connector, local, remote, directory } = await startSetting();
    const content = text(3 * MIB);
    const moved = { up: 0, down: 0 };
    const counting = (way: 'up' | 'down') => async (bytes: number) => void (moved[way] += bytes);
    await send(connector(COMPRESSING), await local(content), 'a', { throttle: counting('up') });
    await remote(content, 'b');
    await fetchTo(connector(COMPRESSING), 'b', join(directory, 'b'), { throttle: counting('down') });
    for (const bytes of Object.values(moved)) {
      expect(bytes).toBeGreaterThan(0);
      expect(bytes).toBeLessThan(content.length * 0.4);
    }
  });

  test('nothing that is only asked for, or comes back from an echo, is touched', async () => {
    const { connector } = await startSetting();
    const client = await connector(COMPRESSING).use();
    const content = text(10_000);
    expect((await client.echo(content)).equals(content)).toBe(true);
  });
});

describe('a client says what it decodes', () => {
  const saidBy = async (options: { compress?: boolean }) => {
    const said: unknown[] = [];
    const hello: Script[string] = ({ header, answer }) => {
      said.push(header['encodings']);
      void answer(HELLO);
    };
    const { address, pin } = await startScriptedServer({ hello });
    await connectorTo(address, pin, options).use();
    return said;
  };

  test('only if it compresses', async () => {
    expect(await saidBy({})).toEqual([undefined]);
    expect(await saidBy({ compress: false })).toEqual([undefined]);
    expect(await saidBy({ compress: true })).toEqual([['zstd', 'gzip']]);
  });
});

describe('a server that decodes', () => {
  test.each([
    { encodings: [], expected: 'binary' },
    { encodings: ['br'], expected: 'binary' },
    { encodings: ['br', 'gzip'], expected: 'gzip' },
    { encodings: ['gzip', 'zstd'], expected: 'zstd' },
  ])('$encodings gets $expected', async ({ encodings, expected }) => {
    const error = { status: 'error', code: 'forbidden', message: 'That will do.', retryable: false };
    const { address, pin, requests } = await startScriptedServer({
      hello: ({ answer }) => void answer({ ...HELLO, encodings }),
      put: ({ header, answer }) =>
        void answer(header['digest'] === undefined ? { status: 'ok', upload: 'u', base: 'none' } : error),
      block: ({ answer }) => void answer(error),
    });
    const file = join(await temporaryDirectory(), 'file');
    for (const length of [MIB, 2 * MIB]) {
      await writeFile(file, text(length));
      const sending = send(connectorTo(address, pin, COMPRESSING), file, 'file', { retry: AT_ONCE });
      expect((await failureOf(sending)).code).toBe('forbidden');
    }
    const contents = requests.filter(({ content }) => content.length > 0);
    expect(contents.length).toBeGreaterThanOrEqual(2);
    expect(new Set(contents.map(({ header }) => header['content-encoding']))).toEqual(new Set([expected]));
  });

  test('on one connection, and not on another, is believed on each', async () => {
    const hellos = [['zstd'], []];
    const encodings = new Map<unknown, readonly string[]>();
    const both = Promise.withResolvers<void>();
    const strays: unknown[] = [];
    const users = new Set<unknown>();
    const { address, pin } = await startScriptedServer({
      hello: ({ answer, socket }) => {
        encodings.set(socket, hellos.shift() ?? []);
        void answer({ ...HELLO, encodings: encodings.get(socket) });
      },
      put: ({ answer }) => void answer({ status: 'ok', upload: 'u', base: 'none' }),
      block: async ({ header, answer, socket }) => {
        const encoding = String(header['content-encoding']);
        if (encoding !== (encodings.get(socket)?.[0] ?? 'binary')) strays.push(encoding);
        users.add(socket);
        if (users.size === 2) both.resolve();
        await both.promise;
        await answer({ status: 'ok' });
      },
      abort: ({ answer }) => void answer({ status: 'ok' }),
      commit: ({ answer }) =>
        void answer({ status: 'error', code: 'forbidden', message: 'That will do.', retryable: false }),
    });
    const file = join(await temporaryDirectory(), 'file');
    await writeFile(file, text(12 * MIB));
    const sending = send(connectorTo(address, pin, COMPRESSING), file, 'file', { streams: 2 });
    expect((await failureOf(sending)).code).toBe('forbidden');
    expect(strays).toEqual([]);
  });
});
