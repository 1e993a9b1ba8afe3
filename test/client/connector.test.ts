import { expect, test } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { failureOf, startSetting } from './setting.ts';

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
