import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';

import type { BlockSource } from '../../src/client/block-source.ts';
import { streamSink } from '../../src/client/block-sink.ts';
import { download } from '../../src/client/download.ts';
import { upload } from '../../src/client/upload.ts';
import { systemClock } from '../../src/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { AT_ONCE, failureOf, MIB, noise, startSetting } from './setting.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test('keeps the connection that stands, and makes a new one when it is gone', async () => {
  const { connector, proxy } = await startSetting();
  const there = connector();
  expect(there.hasConnected).toBe(false);
  expect(there.peer).toBeUndefined();
  const first = await there.use();
  expect(await there.use()).toBe(first);
  expect(there.hasConnected).toBe(true);
  expect(there.peer?.tlsVersion).toBe('TLSv1.3');
  proxy.cutAll();
  expect((await failureOf(first.ping())).code).toBe('connection-lost');
  const second = await there.use();
  expect(second).not.toBe(first);
  expect(await second.ping()).toBeGreaterThan(0);
  expect(proxy.connections).toBe(2);
});

test('tells who asked for that of each connection', async () => {
  const { connector, proxy } = await startSetting();
  let connections = 0;
  const there = connector({ onConnected: () => (connections += 1) });
  const client = await there.use();
  expect([connections, there.hasConnected]).toEqual([1, true]);
  proxy.cutAll();
  await failureOf(client.ping());
  await there.use();
  expect(connections).toBe(2);
});

test('those who ask at once share one connection', async () => {
  const { connector, proxy } = await startSetting();
  const there = connector();
  const clients = await Promise.all([there.use(), there.use(), there.use()]);
  expect(new Set(clients).size).toBe(1);
  expect(proxy.connections).toBe(1);
  await clients[0].close();
  const again = await Promise.all([there.use(), there.use()]);
  expect(new Set(again).size).toBe(1);
  expect(proxy.connections).toBe(2);
});

test('a failure is told to all who asked, and the next one tries again', async () => {
  const { connector, proxy } = await startSetting({ refuse: true });
  const there = connector();
  const failures = await Promise.all([there.use(), there.use()].map(failureOf));
  expect(failures.map(({ retryable }) => retryable)).toEqual([true, true]);
  proxy.faults = {};
  expect((await there.use()).isAlive).toBe(true);
});

test('who leaves while it connects does not disturb the others', async () => {
  const { connector } = await startSetting();
  const there = connector();
  const controller = new AbortController();
  const [leaving, staying] = [there.use(controller.signal), there.use()];
  controller.abort();
  expect((await failureOf(leaving)).code).toBe('aborted');
  expect((await staying).isAlive).toBe(true);
});

test('when all have left, or it is disposed of, it connects no longer', async () => {
  const { connector, proxy } = await startSetting({ blackhole: true });
  const there = connector({ clock: systemClock });
  const controller = new AbortController();
  const leaving = there.use(controller.signal);
  while (proxy.connections === 0) await nextTurn();
  controller.abort();
  expect((await failureOf(leaving)).code).toBe('aborted');
  const forgotten = failureOf(there.use());
  while (proxy.connections === 1) await nextTurn();
  await there[Symbol.asyncDispose]();
  expect((await forgotten).code).toBe('aborted');
});

test('its own signal ends it too', async () => {
  const { connector } = await startSetting();
  expect((await failureOf(connector({ signal: AbortSignal.abort() }).use())).code).toBe('aborted');
});

describe('once it is disposed of', () => {
  /** A source that says when its last block is wanted, and never gives that. */
  function endless() {
    const reached = Promise.withResolvers<void>();
    const source: BlockSource = {
      size: 8 * MIB,
      mtimeMs: undefined,
      mode: undefined,
      isRepeatable: true,
      block: (index) => {
        if (index < 7) return Promise.resolve(noise(MIB, index));
        reached.resolve();
        return new Promise(() => undefined);
      },
      release: () => undefined,
      assertUnchanged: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    return { source, reached: reached.promise };
  }

  test('it connects no more', async () => {
    const { connector, proxy } = await startSetting();
    const there = connector();
    const client = await there.use();
    await there[Symbol.asyncDispose]();
    expect(await failureOf(there.use())).toMatchObject({
      code: 'aborted',
      retryable: false,
      message: 'The connector was disposed of.',
    });
    expect((await failureOf(client.ping())).code).toBe('aborted');
    expect(() => there.streams(2)).toThrow('disposed of');
    await there[Symbol.asyncDispose]();
    expect(proxy.connections).toBe(1);
  });

  test('what was asked for in the same turn does not come about', async () => {
    const { connector, proxy } = await startSetting();
    const there = connector();
    const asking = failureOf(there.use());
    await there[Symbol.asyncDispose]();
    expect((await asking).code).toBe('aborted');
    expect(proxy.connections).toBe(0);
  });

  test.each([1, 3])('an upload on %i connections ends, and makes no other', async (streams) => {
    const { connector, proxy, server } = await startSetting();
    const there = connector();
    const { source, reached } = endless();
    const sending = failureOf(upload(there, source, 'file', { retry: AT_ONCE, streams }));
    await reached;
    await there[Symbol.asyncDispose]();
    const { connections } = proxy;
    expect(await sending).toMatchObject({ code: 'aborted', retryable: false });
    while (server.connectionCount > 0) await nextTurn();
    expect(proxy.connections).toBe(connections);
  });

  test.each([1, 3])('an upload on %i connections that waits to try again ends at once', async (streams) => {
    const { connector, proxy, server } = await startSetting();
    const there = connector();
    const { source, reached } = endless();
    const waiting = Promise.withResolvers<void>();
    const sending = failureOf(
      upload(there, source, 'file', {
        streams,
        clock: new FakeClock(),
        onRetry: () => waiting.resolve(),
      }),
    );
    await reached;
    proxy.cutAll();
    await waiting.promise;
    await there[Symbol.asyncDispose]();
    expect(await sending).toMatchObject({ code: 'aborted', retryable: false });
    while (server.connectionCount > 0) await nextTurn();
  });

  test('a download into a stream that nobody reads ends', async () => {
    const { connector, remote } = await startSetting();
    await remote(noise(8 * MIB));
    const there = connector();
    const reached = Promise.withResolvers<void>();
    const stream = new Writable({ write: () => reached.resolve() });
    const fetching = failureOf(download(there, 'file', streamSink(stream), { retry: AT_ONCE }));
    await reached.promise;
    await there[Symbol.asyncDispose]();
    expect((await fetching).code).toBe('aborted');
  });
});
