import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';

import { streamSource } from '../../src/client/block-source.ts';
import { streamSink } from '../../src/client/block-sink.ts';
import { download } from '../../src/client/download.ts';
import { upload } from '../../src/client/upload.ts';
import type { SealiftError } from '../../src/errors.ts';
import { AT_ONCE, failureOf, MIB, NEVER, noise, startSetting, watchProgress } from './setting.ts';

const SIZES = [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 7 * MIB + 5];

/** The content in pieces of odd lengths, as a pipe brings it. */
function piecesOf(content: Buffer, length = 70_001): Readable {
  const pieces: Buffer[] = [];
  for (let at = 0; at < content.length; at += length) pieces.push(content.subarray(at, at + length));
  return Readable.from(pieces);
}

/** Collects what is written to it. */
function collector() {
  const pieces: Buffer[] = [];
  const stream = new Writable({
    write(piece: Buffer, _, done) {
      // Copied: the buffer is used again as soon as the stream has taken it.
      pieces.push(Buffer.from(piece));
      done();
    },
  });
  return { stream, bytes: () => Buffer.concat(pieces) };
}

describe('a stream of unknown length', () => {
  test.each(SIZES)('of %i bytes is sent', async (size) => {
    const { connector, root } = await startSetting();
    const content = noise(size);
    const { events, onProgress } = watchProgress();
    const result = await upload(connector(), streamSource(piecesOf(content)), 'file', { onProgress });
    expect(result).toMatchObject({ sentBytes: size, receipt: { size } });
    expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
    if (size > 0) expect(events.at(-1)).toMatchObject({ doneBytes: size, movedBytes: size });
  });

  test('in one huge piece is sent', async () => {
    const { connector, root } = await startSetting();
    const content = noise(4 * MIB + 1);
    await upload(connector(), streamSource(piecesOf(content, 5 * MIB)), 'file');
    expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
  });

  test('in one huge piece is held in memory once, not once for each of its blocks', async () => {
    const source = streamSource(Readable.from([noise(16 * MIB)]));
    const blocks: Buffer[] = [];
    for (let block = await source.block(0); block !== undefined; block = await source.block(blocks.length))
      blocks.push(block);
    expect(blocks).toHaveLength(16);
    expect(new Set(blocks.map(({ buffer }) => buffer)).size).toBe(1);
  });

  test.each(['fin', 'rst'] as const)(
    'goes on when it is cut by %s, and keeps no more than was not held',
    async (mode) => {
      const { connector, root } = await startSetting({
        cut: { afterBytes: 3 * MIB, mode, direction: 'up', times: 4 },
      });
      const content = noise(12 * MIB + 3);
      const source = streamSource(piecesOf(content));
      const released = new Set<number>();
      const release = source.release.bind(source);
      source.release = (index, block) => {
        released.add(index);
        release(index, block);
      };
      const result = await upload(connector(), source, 'file', { retry: AT_ONCE });
      expect(result.retries).toBe(4);
      expect(result.sentBytes - content.length).toBeLessThanOrEqual(4 * 2 * MIB);
      expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
      expect(released.size).toBe(13);
    },
  );

  test.each([
    ['that brings text', () => Readable.from(['hello ', 'wörld']), Buffer.from('hello wörld')],
    [
      'that decodes',
      () => {
        const stream = new PassThrough();
        stream.setEncoding('utf8');
        stream.end('é'.repeat(MIB));
        return stream;
      },
      Buffer.from('é'.repeat(MIB)),
    ],
    [
      'that brings bytes and text',
      () => Readable.from([noise(MIB + 5), 'tail']),
      Buffer.concat([noise(MIB + 5), Buffer.from('tail')]),
    ],
    [
      'that brings bytes in no buffer',
      () => Readable.from([new Uint8Array([1, 2, 3])]),
      Buffer.from([1, 2, 3]),
    ],
  ])('%s is sent whole', async (_, stream, content) => {
    const { connector, root } = await startSetting();
    const { receipt } = await upload(connector(), streamSource(stream()), 'file', { retry: AT_ONCE });
    expect(receipt.size).toBe(content.length);
    expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
  });

  test('that brings no bytes fails, and is not read on by whoever tries again', async () => {
    const { connector, root } = await startSetting();
    const source = streamSource(Readable.from([5, 'tail']));
    const attempt = () => failureOf(upload(connector(), source, 'file', { retry: AT_ONCE }));
    expect((await attempt()).code).toBe('invalid-argument');
    expect((await attempt()).code).toBe('invalid-argument');
    expect(await readdir(root)).not.toContain('file');
  });

  test('whose upload was aborted is not read twice at once by the next', async () => {
    const { connector, root } = await startSetting();
    const stream = new PassThrough();
    const source = streamSource(stream);
    const controller = new AbortController();
    let asked = Promise.withResolvers<void>();
    const block = source.block.bind(source);
    source.block = (index) => {
      asked.resolve();
      return block(index);
    };
    const sending = upload(connector(), source, 'file', { signal: controller.signal });
    await asked.promise;
    controller.abort();
    expect((await failureOf(sending)).code).toBe('aborted');
    asked = Promise.withResolvers();
    const again = upload(connector(), source, 'file');
    await asked.promise;
    const content = noise(2 * MIB + 7);
    piecesOf(content).pipe(stream);
    await again;
    expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
  });

  test('is not published when it fails', async () => {
    const { connector, root } = await startSetting();
    const stream = new PassThrough();
    const sending = upload(connector(), streamSource(stream), 'file');
    stream.write(noise(2 * MIB));
    stream.destroy(new Error('the pipe broke'));
    expect(await failureOf(sending)).toMatchObject({ code: 'local-file' });
    expect(await readdir(root)).not.toContain('file');
  });

  test('cannot go on when the server has lost what was given away', async () => {
    const setting = await startSetting();
    const stream = new PassThrough();
    const { events, onProgress } = watchProgress();
    let restarting: Promise<void> | undefined;
    const sending = upload(setting.connector(), streamSource(stream), 'file', {
      retry: { ...AT_ONCE, retries: 10_000, baseDelayMs: 10, maxDelayMs: 10 },
      onProgress: (event) => {
        onProgress(event);
        if (event.doneBytes < 2 * MIB) return;
        restarting ??= (async () => {
          setting.server.destroyConnections();
          await setting.server.close({ graceMs: 0 });
          for (const name of await readdir(setting.root, { recursive: true }))
            if (/upload/.test(name)) await rm(join(setting.root, name), { recursive: true, force: true });
          await setting.restart();
          stream.end(noise(MIB, 2));
        })();
      },
    });
    stream.write(noise(4 * MIB));
    expect(await failureOf(sending)).toMatchObject({ code: 'retries-exhausted' });
    await restarting;
    expect(events.length).toBeGreaterThan(0);
    expect(await readdir(setting.root)).not.toContain('file');
  });
});

describe('a stream to fetch into', () => {
  test.each(SIZES)('gets %i bytes', async (size) => {
    const { connector, remote } = await startSetting();
    const content = noise(size);
    await remote(content);
    const { stream, bytes } = collector();
    const result = await download(connector(), 'file', streamSink(stream));
    expect(result).toMatchObject({ size, receivedBytes: size });
    expect(bytes().equals(content)).toBe(true);
  });

  test('that cannot be opened fails, also where nothing is to be written', async () => {
    const { connector, remote } = await startSetting();
    await remote(Buffer.alloc(0));
    const stream = createWriteStream('/no/such/directory/file');
    const failure = await failureOf(download(connector(), 'file', streamSink(stream), { retry: AT_ONCE }));
    expect(failure).toMatchObject({ code: 'local-file', cause: { code: 'ENOENT' } });
  });

  test('gets everything once and in order, however often it is cut', async () => {
    const { connector, remote } = await startSetting({
      cut: { afterBytes: 3 * MIB + 7, mode: 'fin', direction: 'down' },
    });
    const content = noise(13 * MIB + 3);
    await remote(content);
    const { stream, bytes } = collector();
    const result = await download(connector(), 'file', streamSink(stream), { retry: AT_ONCE });
    expect(result.retries).toBeGreaterThan(3);
    expect(bytes().equals(content)).toBe(true);
  });

  test('fails when the file is another after a cut, because nothing can be taken back', async () => {
    const { connector, remote, proxy } = await startSetting();
    // More than the buffers on the way hold, so that it cannot have come whole before the cut.
    const first = noise(32 * MIB);
    await remote(first);
    const { stream, bytes } = collector();
    let replacing: Promise<unknown> | undefined;
    const fetching = download(connector(), 'file', streamSink(stream), {
      retry: { ...AT_ONCE, baseDelayMs: 20, maxDelayMs: 20 },
      throttle: async () => {
        if (bytes().length < 2 * MIB || replacing !== undefined) return;
        await (replacing = remote(noise(32 * MIB, 2)));
        proxy.cutAll();
      },
    });
    expect((await failureOf(fetching)).code).toBe('precondition-failed');
    expect(bytes().equals(first.subarray(0, bytes().length))).toBe(true);
  });

  test('that breaks ends the download at once', async () => {
    const { connector, remote, proxy } = await startSetting();
    await remote(noise(3 * MIB));
    const stream = new Writable({ write: (_piece, _encoding, done) => done(new Error('no reader')) });
    const closed = once(stream, 'close').catch(() => undefined);
    stream.on('error', () => undefined);
    const error = await failureOf(download(connector(), 'file', streamSink(stream), { retry: AT_ONCE }));
    expect(error).toMatchObject({ code: 'local-file', cause: expect.any(Error) });
    expect(proxy.connections).toBe(1);
    await closed;
  });

  test('that is destroyed in the middle of a write ends the download, and nothing else', async () => {
    const { connector, remote, proxy } = await startSetting();
    await remote(noise(8 * MIB));
    const shared = connector();
    const stream = new Writable({ write: () => void setImmediate(() => stream.destroy()) });
    const error = await failureOf(download(shared, 'file', streamSink(stream), { retry: AT_ONCE }));
    expect(error.code).toBe('local-file');
    expect(await (await shared.use()).ping()).toBeGreaterThan(0);
    expect(proxy.connections).toBe(1);
  });

  test('that takes its time does not hide the end of the connection from others, and gets the rest', async () => {
    const { connector, remote, proxy } = await startSetting();
    const content = noise(3 * MIB);
    await remote(content);
    const shared = connector();
    const client = await shared.use();
    let isCut = false;
    const asked = Promise.withResolvers<SealiftError>();
    const taken = Promise.withResolvers<void>();
    const { stream, bytes } = collector();
    const fetching = download(shared, 'file', streamSink(stream), {
      retry: AT_ONCE,
      throttle: () => {
        // Before anything else is sent: what is sent first of all after a cut seems to have been taken.
        if (!isCut) proxy.cutAll('rst');
        isCut = true;
        asked.resolve(failureOf(client.ping()));
        return taken.promise;
      },
    });
    expect((await asked.promise).code).toBe('connection-lost');
    expect(client.isAlive).toBe(false);
    expect(await (await shared.use()).ping()).toBeGreaterThan(0);
    taken.resolve();
    expect((await fetching).retries).toBe(1);
    expect(bytes().equals(content)).toBe(true);
  });

  test.each([
    ['by its callback', (done: (error: Error) => void, error: Error) => done(error)],
    [
      'by throwing',
      (_done: unknown, error: Error) => {
        throw error;
      },
    ],
    [
      'by being destroyed',
      (_done: unknown, error: Error, stream: Writable) => void setImmediate(() => stream.destroy(error)),
    ],
  ])('that fails %s, and has no listener, is why the download does', async (_how, breaking) => {
    const { connector, remote } = await startSetting();
    await remote(noise(8 * MIB));
    const cause = new Error('no reader');
    const stream: Writable = new Writable({
      write: (_piece, _encoding, done) => breaking(done, cause, stream),
    });
    const error = await failureOf(download(connector(), 'file', streamSink(stream), { retry: AT_ONCE }));
    expect(error).toMatchObject({ code: 'local-file', cause });
  });

  test('that failed before is why the download does, too', async () => {
    const { connector, remote } = await startSetting();
    await remote(noise(3 * MIB));
    const cause = new Error('no reader');
    const { stream } = collector();
    const sink = streamSink(stream);
    stream.destroy(cause);
    const error = await failureOf(download(connector(), 'file', sink, { retry: AT_ONCE }));
    expect(error).toMatchObject({ code: 'local-file', cause });
  });

  test('may take many downloads, one after the other', async () => {
    const { connector, remote } = await startSetting();
    await remote(noise(MIB));
    const { stream, bytes } = collector();
    const shared = connector();
    for (let times = 0; times < 12; times += 1) await download(shared, 'file', streamSink(stream));
    expect(bytes()).toHaveLength(12 * MIB);
    expect(stream.listenerCount('error')).toBe(1);
    expect(stream.listenerCount('close')).toBe(0);
  });

  test('that nobody reads keeps neither an aborted download nor others of its connection', async () => {
    const { connector, remote, proxy } = await startSetting();
    const content = noise(8 * MIB);
    await remote(content);
    const shared = connector();
    const controller = new AbortController();
    const stream = new Writable({ write: () => controller.abort() });
    const fetching = download(shared, 'file', streamSink(stream), {
      signal: controller.signal,
      retry: NEVER,
    });
    expect((await failureOf(fetching)).code).toBe('aborted');
    const other = collector();
    await download(shared, 'file', streamSink(other.stream));
    expect(other.bytes().equals(content)).toBe(true);
    expect(proxy.connections).toBe(1);
  });
});
