import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { ResumeKeys } from '../../src/client/resume-keys.ts';
import { DEFAULT_RETRY_POLICY, type RetryEvent } from '../../src/client/retry.ts';
import { Throttle } from '../../src/transport/throttle.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { failureOf, fetchTo, MIB, noise, passUntilSettled, send, startSetting } from './setting.ts';

const SIZE = 5 * MIB + 3;
const content = noise(SIZE);

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test.each(['up', 'down'] as const)(
  'a connection that falls silent (%s) is given up after a minute, and replaced',
  async (direction) => {
    const { connector, local, remote, root, directory, proxy } = await startSetting({
      cut: { afterBytes: 3 * MIB, mode: 'silence', direction, times: 1 },
    });
    const clock = new FakeClock();
    const there = connector({ clock });
    const retries: RetryEvent[] = [];
    const onRetry = (event: RetryEvent) => retries.push(event);
    const target = join(direction === 'up' ? root : directory, 'file');
    const transfer =
      direction === 'up'
        ? send(there, await local(content), 'file', { onRetry })
        : fetchTo(there, await remote(content).then(() => 'file'), target, { onRetry });
    while ((direction === 'up' ? proxy.bytesUp : proxy.bytesDown) < 3 * MIB) await nextTurn();
    let passedMs = 0;
    while (retries.length === 0) {
      clock.advance(1_000);
      passedMs += 1_000;
      await nextTurn();
    }
    await transfer;
    expect(retries.map(({ error }) => error.code)).toEqual(['stalled']);
    expect(passedMs).toBeGreaterThanOrEqual(60_000);
    expect((await readFile(target)).equals(content)).toBe(true);
  },
);

test('a server that accepts and never speaks is tried as often as the policy says', async () => {
  const { connector, local } = await startSetting({ blackhole: true });
  const clock = new FakeClock();
  const retries: RetryEvent[] = [];
  // Passing time must not overtake the kernel, which connects in its own.
  const there = connector({ clock, connectTimeoutMs: 1_000_000_000 });
  const sending = send(there, await local(content), 'file', {
    clock,
    retry: DEFAULT_RETRY_POLICY,
    onRetry: (event) => retries.push(event),
  });
  const error = await failureOf(passUntilSettled(clock, sending));
  expect(error).toMatchObject({ code: 'retries-exhausted', details: { lastCode: 'stalled' } });
  expect(retries.map(({ retry }) => retry)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  // Nine times the 20 seconds for the hello, and eight waits.
  expect(clock.monotonicMs()).toBeGreaterThanOrEqual(180_000);
  expect(clock.monotonicMs()).toBeLessThan(180_000 + 91_500);
});

test('nobody listens: tried as often as the policy says', async () => {
  const { connector, local, proxy } = await startSetting();
  await proxy.close();
  const there = connector();
  const error = await failureOf(send(there, await local(content), 'file'));
  expect(error).toMatchObject({ code: 'retries-exhausted', details: { lastCode: 'connection-refused' } });
  expect(there.hasConnected).toBe(false);
});

test.each(['up', 'down'])('a rate is kept (%s)', async (direction) => {
  const { connector, local, remote, directory } = await startSetting();
  const clock = new FakeClock();
  const limit = new Throttle({ bytesPerSecond: MIB, clock });
  const taken: number[] = [];
  const throttle = (bytes: number) => {
    taken.push(bytes);
    return limit.take(bytes);
  };
  const transfer =
    direction === 'up'
      ? send(connector(), await local(content), 'file', { throttle })
      : fetchTo(connector(), await remote(content).then(() => 'file'), join(directory, 'target'), {
          throttle,
        });
  await passUntilSettled<unknown>(clock, transfer);
  expect(taken).toEqual([MIB, MIB, MIB, MIB, MIB, 3]);
  expect(clock.monotonicMs()).toBe(5_000);
});

test('a second run with the same key takes an upload over, and the first one is told', async () => {
  const { connector, local, root, directory } = await startSetting();
  const file = await local(content);
  const resume = { keys: new ResumeKeys(join(directory, 'keys')), name: 'it' };
  const secondIsDone = Promise.withResolvers<void>();
  const firstWaits = Promise.withResolvers<void>();
  let blocks = 0;
  const first = send(connector(), file, 'file', {
    resume,
    throttle: async () => {
      if ((blocks += 1) !== 4) return;
      firstWaits.resolve();
      await secondIsDone.promise;
    },
  });
  await firstWaits.promise;
  const second = await send(connector(), file, 'file', { resume });
  expect(second.resumedBytes).toBeGreaterThan(0);
  secondIsDone.resolve();
  expect((await failureOf(first)).code).toBe('superseded');
  expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
});
