import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import type { RetryEvent } from '../../src/client/retry.ts';
import type { TransferProgress } from '../../src/client/transfer-progress.ts';
import { AT_ONCE, failureOf, fetchTo, MIB, noise, send, startSetting, watchProgress } from './setting.ts';

const SIZE = 5 * MIB + 777;
const content = noise(SIZE);

/** Within the handshake, within the hello, at and around the borders of blocks, just before the end. */
const PLACES = [0, 1, 300, 3_000, MIB, 2 * MIB + 99, 5 * MIB, SIZE];

describe.each(['fin', 'rst'] as const)('cut once by %s', (mode) => {
  test.each(PLACES)('after %i bytes up, an upload goes on', async (afterBytes) => {
    const { connector, local, root, proxy } = await startSetting({
      cut: { afterBytes, mode, direction: 'up', times: 1 },
    });
    const { events, onProgress } = watchProgress();
    const retries: RetryEvent[] = [];
    const result = await send(connector(), await local(content), 'file', {
      onProgress,
      onRetry: (event) => retries.push(event),
    });
    expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
    expect(proxy.connections).toBe(2);
    expect(result.retries).toBe(1);
    // A reset may be faster than the news that there is a connection.
    expect(['connection-lost', ...(afterBytes === 0 ? ['unreachable'] : [])]).toContain(
      retries[0]?.error.code,
    );
    expect(result.resumedBytes).toBe(0);
    // Two blocks are on their way at most: no more has to be sent again.
    expect(result.sentBytes - SIZE).toBeLessThanOrEqual(2 * MIB);
    expect(proxy.bytesUp).toBeLessThan(SIZE + 2 * MIB + 100_000);
    expect(events.at(-1)).toMatchObject({ totalBytes: SIZE, doneBytes: SIZE });
  });

  test.each(PLACES)('after %i bytes down, a download goes on', async (afterBytes) => {
    const { connector, remote, directory, proxy } = await startSetting({
      cut: { afterBytes, mode, direction: 'down', times: 1 },
    });
    await remote(content);
    const { events, onProgress } = watchProgress();
    const target = join(directory, 'target');
    const result = await fetchTo(connector(), 'file', target, { onProgress });
    expect((await readFile(target)).equals(content)).toBe(true);
    expect(result).toMatchObject({ retries: 1, receivedBytes: SIZE, resumedBytes: 0 });
    // What has to come twice is the block that was cut in the middle. A reset throws away what is on its way, too.
    if (mode === 'fin') expect(proxy.bytesDown).toBeLessThan(SIZE + MIB + 100_000);
    expect(events.at(-1)).toMatchObject({ totalBytes: SIZE, doneBytes: SIZE, movedBytes: SIZE });
    expect(await readdir(directory)).toEqual(['target']);
  });
});

test.each(['fin', 'rst'] as const)(
  'an upload of 20 blocks that is cut by %s every 3 MiB ends',
  async (mode) => {
    const large = noise(20 * MIB + 1);
    const { connector, local, root, proxy } = await startSetting({
      cut: { afterBytes: 3 * MIB, mode, direction: 'up' },
    });
    const { onProgress } = watchProgress();
    // More cuts than the policy has retries: it counts anew, because the server holds more each time.
    const result = await send(connector(), await local(large), 'file', {
      onProgress,
      retry: { ...AT_ONCE, retries: 2 },
    });
    expect((await readFile(join(root, 'file'))).equals(large)).toBe(true);
    expect(result.retries).toBeGreaterThan(5);
    expect(proxy.connections).toBe(result.retries + 1);
    expect(result.sentBytes - large.length).toBeLessThanOrEqual(result.retries * 2 * MIB);
  },
);

test('a download of 20 blocks that is cut by fin every 3 MiB ends', async () => {
  const large = noise(20 * MIB + 1);
  const { connector, remote, directory } = await startSetting({
    cut: { afterBytes: 3 * MIB, mode: 'fin', direction: 'down' },
  });
  await remote(large);
  const target = join(directory, 'target');
  const result = await fetchTo(connector(), 'file', target, { retry: { ...AT_ONCE, retries: 2 } });
  expect((await readFile(target)).equals(large)).toBe(true);
  expect(result.receivedBytes).toBe(large.length);
  expect(result.retries).toBeGreaterThan(5);
});

test('a download of 20 blocks that is reset after every third block ends', async () => {
  const large = noise(20 * MIB + 1);
  const { connector, remote, directory, proxy } = await startSetting();
  await remote(large);
  let next = 3 * MIB;
  const onProgress = ({ doneBytes }: TransferProgress) => {
    if (doneBytes < next) return;
    next = doneBytes + 3 * MIB;
    proxy.cutAll('rst');
  };
  const target = join(directory, 'target');
  const result = await fetchTo(connector(), 'file', target, {
    onProgress,
    retry: { ...AT_ONCE, retries: 2 },
  });
  expect((await readFile(target)).equals(large)).toBe(true);
  expect(result.retries).toBeGreaterThan(1);
});

test('an upload that is cut while it waits for its rate waits no longer', async () => {
  const { connector, local, root, proxy } = await startSetting({
    cut: { afterBytes: MIB / 2, direction: 'up', times: 1 },
  });
  const waits: (AbortSignal | undefined)[] = [];
  let blocks = 0;
  const throttle = (_bytes: number, signal?: AbortSignal) => {
    blocks += 1;
    if (blocks === 1 || proxy.connections > 1) return Promise.resolve();
    waits.push(signal);
    return new Promise<void>(() => undefined);
  };
  expect(await send(connector(), await local(content), 'file', { throttle })).toMatchObject({ retries: 1 });
  expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
  expect(waits.map((signal) => signal?.aborted)).toEqual([true]);
});

describe('without progress', () => {
  test('an upload gives up after the retries that it has, and publishes nothing', async () => {
    const { connector, local, root, proxy } = await startSetting({
      cut: { afterBytes: MIB / 2, direction: 'up' },
    });
    const error = await failureOf(send(connector(), await local(content), 'file'));
    expect(error).toMatchObject({ code: 'retries-exhausted', details: { lastCode: 'connection-lost' } });
    expect(proxy.connections).toBe(9);
    expect(await readdir(root)).not.toContain('file');
  });

  test('a download gives up, and the file that stood there stands there still', async () => {
    const { connector, remote, local, directory, proxy } = await startSetting({
      cut: { afterBytes: MIB / 2, direction: 'down' },
    });
    await remote(content);
    const target = await local(Buffer.from('precious'), 'target');
    const error = await failureOf(fetchTo(connector(), 'file', target));
    expect(error).toMatchObject({ code: 'retries-exhausted', details: { lastCode: 'connection-lost' } });
    expect(proxy.connections).toBe(9);
    expect(await readFile(target, 'utf8')).toBe('precious');
    expect(await readdir(directory)).toEqual(['target']);
  });

  test('some progress first does not help for ever', async () => {
    const { connector, local, proxy } = await startSetting({ cut: { afterBytes: MIB / 2, direction: 'up' } });
    proxy.faults = { cut: { afterBytes: 3 * MIB, direction: 'up', times: 1 } };
    const sending = send(connector(), await local(content), 'file', {
      onRetry: () => (proxy.faults = { cut: { afterBytes: MIB / 2, direction: 'up' } }),
    });
    expect((await failureOf(sending)).code).toBe('retries-exhausted');
    // The first brought something, and eight retries brought nothing. If the cut took an answer with it, the second
    // attempt finds a block more, which is progress too.
    expect([9, 10]).toContain(proxy.connections);
  });
});

describe('a server that is started again in the middle', () => {
  /** Restarts the server once when `blocks` are done. */
  function restartAt(blocks: number, restart: () => Promise<void>) {
    let restarting: Promise<void> | undefined;
    const onProgress = ({ doneBytes }: TransferProgress) => {
      if (doneBytes >= blocks * MIB) restarting ??= restart();
    };
    return { onProgress, done: () => restarting };
  }

  /** Enough retries that none waits for longer than the restart takes. */
  const patient = { ...AT_ONCE, retries: 10_000, baseDelayMs: 10, maxDelayMs: 10 };

  test('goes on with what it held', async () => {
    const { connector, local, root, restart } = await startSetting();
    const large = noise(12 * MIB);
    const restarted = restartAt(6, restart);
    const result = await send(connector(), await local(large), 'file', {
      onProgress: restarted.onProgress,
      retry: patient,
    });
    await restarted.done();
    expect((await readFile(join(root, 'file'))).equals(large)).toBe(true);
    expect(result.retries).toBeGreaterThan(0);
    expect(result.sentBytes - large.length).toBeLessThanOrEqual(2 * MIB);
  });

  test('is asked for the rest only', async () => {
    const { connector, remote, directory, restart } = await startSetting();
    const large = noise(12 * MIB);
    await remote(large);
    const target = join(directory, 'target');
    const restarted = restartAt(3, restart);
    const result = await fetchTo(connector(), 'file', target, {
      onProgress: restarted.onProgress,
      retry: patient,
    });
    await restarted.done();
    expect((await readFile(target)).equals(large)).toBe(true);
    expect(result.receivedBytes).toBe(large.length);
  });
});
