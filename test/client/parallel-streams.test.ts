import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';

import { streamSink } from '../../src/client/block-sink.ts';
import { streamSource } from '../../src/client/block-source.ts';
import type { Connector } from '../../src/client/connector.ts';
import { download } from '../../src/client/download.ts';
import type { TransferProgress } from '../../src/client/transfer-progress.ts';
import { upload } from '../../src/client/upload.ts';
import type { SealiftError } from '../../src/errors.ts';
import type { Direction } from '../../src/transport/fault-cut.ts';
import {
  AT_ONCE,
  failureOf,
  fetchTo,
  MIB,
  NEVER,
  noise,
  send,
  startSetting,
  watchProgress,
  type Setting,
} from './setting.ts';

const SIZE = 24 * MIB + 777;
const content = noise(SIZE);

const WAYS = ['put', 'get'] as const;
type Way = (typeof WAYS)[number];
const UP: Record<Way, Direction> = { put: 'up', get: 'down' };
type Options = Parameters<typeof send>[3] & { bytes?: Buffer };

/** Moves `bytes` that way, compares them, and tells how many file bytes it took. */
async function move(setting: Setting, way: Way, connector: Connector, options: Options = {}) {
  const { bytes = content, ...rest } = options;
  const target = join(setting.directory, 'target');
  if (way === 'get') {
    await setting.remote(bytes);
    const { receivedBytes, retries } = await fetchTo(connector, 'file', target, rest);
    expect((await readFile(target)).equals(bytes)).toBe(true);
    return { movedBytes: receivedBytes, retries };
  }
  const { sentBytes, retries } = await send(connector, await setting.local(bytes), 'file', rest);
  expect((await readFile(join(setting.root, 'file'))).equals(bytes)).toBe(true);
  return { movedBytes: sentBytes, retries };
}

const until = async (isSo: () => boolean) => {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
};

describe.each(WAYS)('%s on several connections', (way) => {
  test.each([
    { size: 0, streams: 4, connections: 1 },
    { size: MIB, streams: 4, connections: 1 },
    { size: MIB + 1, streams: 4, connections: 2 },
    { size: 3 * MIB, streams: 64, connections: 3 },
    { size: SIZE, streams: 4, connections: 4 },
  ])('$size bytes on $streams', async ({ size, streams, connections }) => {
    const setting = await startSetting();
    const { events, onProgress } = watchProgress();
    const bytes = noise(size);
    expect(await move(setting, way, setting.connector(), { streams, onProgress, bytes })).toEqual({
      movedBytes: size,
      retries: 0,
    });
    expect(events.at(-1)).toMatchObject({ totalBytes: size, doneBytes: size, movedBytes: size });
    expect(setting.proxy.connections).toBeLessThanOrEqual(connections);
    if (size > 4 * MIB) expect(setting.proxy.connections).toBe(connections);
  });

  // None carries more than its part, so that a single one would come to a halt there.
  test('each carries its part', async () => {
    const part = 2 * MIB + MIB / 2;
    const direction = UP[way];
    const setting = await startSetting({ stallAfterBytes: { [direction]: part } });
    const moving = move(setting, way, setting.connector(), { streams: 4 });
    const { proxy } = setting;
    await until(() => (way === 'put' ? proxy.bytesUp : proxy.bytesDown) === 4 * part);
    proxy.faults = {};
    await moving;
    expect(proxy.connections).toBe(4);
  });

  test.each(['fin', 'rst'] as const)('goes on when one is cut by %s', async (mode) => {
    const cut = { afterBytes: 3 * MIB, mode, direction: UP[way], times: 1 };
    const setting = await startSetting({ cut });
    const { onProgress } = watchProgress();
    const { movedBytes, retries } = await move(setting, way, setting.connector(), { streams: 4, onProgress });
    expect(retries).toBe(1);
    expect(setting.proxy.connections).toBe(5);
    // No more than what that one had on its way has to come again.
    expect(movedBytes - SIZE).toBeLessThanOrEqual(way === 'put' ? 2 * MIB : 0);
  });

  test('ends however often each is cut', async () => {
    const setting = await startSetting({ cut: { afterBytes: 3 * MIB, mode: 'fin', direction: UP[way] } });
    const retry = { ...AT_ONCE, retries: 2 };
    const { retries } = await move(setting, way, setting.connector(), { streams: 3, retry });
    expect(retries).toBeGreaterThan(3);
  });

  test('goes on when the server is started again', async () => {
    const setting = await startSetting();
    let restarting: Promise<void> | undefined;
    const onProgress = ({ doneBytes }: TransferProgress) => {
      if (doneBytes >= 6 * MIB) restarting ??= setting.restart();
    };
    const patient = { ...AT_ONCE, retries: 10_000, baseDelayMs: 10, maxDelayMs: 10 };
    await move(setting, way, setting.connector(), { streams: 4, retry: patient, onProgress });
    await restarting;
  });

  test('does with as many as the server admits, and asks for no more', async () => {
    const setting = await startSetting({}, { maxConnectionsPerAddress: 2 });
    const connector = setting.connector();
    const lost: SealiftError[] = [];
    const options = { streams: 4, onStreamLost: (error: SealiftError) => lost.push(error) };
    expect((await move(setting, way, connector, options)).retries).toBe(0);
    expect(lost.map(({ retryable }) => retryable)).toEqual([true, true]);
    expect(setting.proxy.connections).toBe(4);
    await move(setting, way, connector, { ...options, bytes: noise(SIZE, 2) });
    expect(setting.proxy.connections).toBe(4);
    expect(lost).toHaveLength(2);
  });

  test('gives one up that does not come again, and fails when none is left', async () => {
    const setting = await startSetting({ stallAfterBytes: 2 * MIB });
    const { proxy } = setting;
    const lost: SealiftError[] = [];
    const onStreamLost = (error: SealiftError) => lost.push(error);
    const moving = failureOf(
      move(setting, way, setting.connector(), { streams: 3, retry: NEVER, onStreamLost }),
    );
    await until(() => (way === 'put' ? proxy.bytesUp : proxy.bytesDown) >= 6 * MIB);
    proxy.faults = { refuse: true };
    proxy.cutAll();
    expect((await moving).retryable).toBe(true);
    expect(lost).toHaveLength(2);
    expect(await readdir(way === 'put' ? setting.root : setting.directory)).not.toContain(
      way === 'put' ? 'file' : 'target',
    );
  });

  test('ends at once when it is aborted', async () => {
    const setting = await startSetting({ stallAfterBytes: 2 * MIB });
    const controller = new AbortController();
    const options = { streams: 3, signal: controller.signal };
    const moving = failureOf(move(setting, way, setting.connector(), options));
    await until(() => setting.proxy.bytesUp + setting.proxy.bytesDown >= 6 * MIB);
    controller.abort();
    expect((await moving).code).toBe('aborted');
    // The clock of its connections stands still: none would end by itself.
    setting.proxy.cutAll();
  });
});

test('a file may have more blocks than there is room for', async () => {
  const setting = await startSetting();
  const bytes = Buffer.alloc(140 * MIB);
  const connector = setting.connector();
  expect(await move(setting, 'put', connector, { streams: 2, bytes })).toMatchObject({ retries: 0 });
});

test.each([1, 2])('goes on when all of %i connections are cut while all room is taken', async (streams) => {
  const setting = await startSetting({ stallAfterBytes: { up: MIB / 2 } });
  const { proxy } = setting;
  const connector = setting.connector();
  // As other files of the same run do.
  const release = await connector.blocks.take(126);
  const moving = move(setting, 'put', connector, { streams, bytes: noise(9 * MIB) });
  await until(() => proxy.connections === streams && proxy.bytesUp >= MIB / 2);
  proxy.faults = {};
  proxy.cutAll();
  await moving;
  release();
});

test('a stream of unknown length is sent on several connections, in pieces as they come', async () => {
  const { connector, root } = await startSetting({
    cut: { afterBytes: 4 * MIB, mode: 'rst', direction: 'up', times: 3 },
  });
  const pieces = Array.from({ length: Math.ceil(SIZE / 70_001) }, (_, index) =>
    content.subarray(index * 70_001, (index + 1) * 70_001),
  );
  const source = streamSource(Readable.from(pieces));
  const { sentBytes } = await upload(connector(), source, 'file', { streams: 3, retry: AT_ONCE });
  expect(sentBytes - SIZE).toBeLessThanOrEqual(3 * 2 * MIB);
  expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
});

test('what is fetched into a stream comes in its order, on one connection', async () => {
  const { connector, remote, proxy } = await startSetting();
  await remote(content);
  const pieces: Buffer[] = [];
  const stream = new Writable({
    write: (piece: Buffer, _, done) => (pieces.push(Buffer.from(piece)), done()),
  });
  await download(connector(), 'file', streamSink(stream), { streams: 4 });
  expect(Buffer.concat(pieces).equals(content)).toBe(true);
  expect(proxy.connections).toBe(1);
});

test('blocks keep the digests of their upload on a connection that agreed on others', async () => {
  const setting = await startSetting();
  let connections = 0;
  const connector = setting.connector();
  // Asked anew for each connection.
  Object.defineProperty(connector.options, 'digest', {
    enumerable: true,
    get: () => ((connections += 1) === 1 ? 'sha256' : 'blake3'),
  });
  expect(await move(setting, 'put', connector, { streams: 3 })).toEqual({ movedBytes: SIZE, retries: 0 });
  expect(connections).toBe(3);
});

test('each block that comes is progress, also where none of the ranges comes whole', async () => {
  const setting = await startSetting({ cut: { afterBytes: 1.5 * MIB, mode: 'fin', direction: 'down' } });
  const bytes = noise(32 * MIB);
  await move(setting, 'get', setting.connector(), { streams: 2, retry: { ...AT_ONCE, retries: 1 }, bytes });
});
