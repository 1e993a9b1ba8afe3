import { describe, expect, test } from 'vitest';

import type { SealiftError } from '../../src/errors.ts';
import { startLeaseSetting, startScriptedLeases, until, untilRetried } from './lease-setting.ts';
import { AT_ONCE, failureOf, passUntilSettled } from './setting.ts';

test('a lease is held by one run only, and free at once when it is given back', async () => {
  const { acquire, rivalLocks, clock } = await startLeaseSetting();
  const lease = await acquire();
  expect(await rivalLocks()).toBe('locked');
  // Another run of the same principal is not the same run.
  expect(await failureOf(acquire())).toMatchObject({
    code: 'locked',
    retryable: false,
    message: 'Another run holds the lock "nightly".',
    hint: expect.stringContaining('--retry-lock'),
  });
  await Promise.all([lease.release(), lease.release()]);
  expect(lease.signal.aborted).toBe(false);
  expect(clock.pendingCount).toBe(0);
  expect(await rivalLocks()).toBe('ok');
  await lease[Symbol.asyncDispose]();
  expect(await rivalLocks()).toBe('ok');
});

test('a lease is lost when its connector is disposed of', async () => {
  const { acquire, connector, clock } = await startScriptedLeases({
    lock: ({ answer }) => void answer({ status: 'ok' }),
  });
  const lease = await acquire();
  await connector[Symbol.asyncDispose]();
  await until(() => lease.signal.aborted);
  expect(lease.signal.reason).toMatchObject({ code: 'aborted' });
  await lease.release();
  expect(clock.pendingCount).toBe(0);
});

describe('who waits', () => {
  test('asks every few seconds, however long the lease is for, and has it once it is free', async () => {
    const { acquire, rival, rivalLocks, clock } = await startLeaseSetting();
    await rivalLocks();
    const told: SealiftError[] = [];
    const waiting = acquire({ waitMs: 300_000, onWait: (error) => told.push(error) });
    for (let tries = 0; tries < 3; tries += 1) {
      await clock.whenScheduled();
      expect(clock.nextDelayMs).toBe(3_000);
      if (tries === 2) await rival.askOk('unlock', { name: 'nightly' });
      clock.advance(3_000);
    }
    const lease = await waiting;
    expect(told.map(({ code }) => code)).toEqual(['locked']);
    expect(await rivalLocks()).toBe('locked');
    await lease.release();
  });

  test('asks no sooner than the server says', async () => {
    const { acquire, rivalLocks, clock, serverClock } = await startLeaseSetting();
    await rivalLocks(1_234);
    const waiting = acquire({ waitMs: 300_000 });
    await clock.whenScheduled();
    expect(clock.nextDelayMs).toBe(1_234);
    serverClock.advance(1_234);
    clock.advance(1_234);
    await (await waiting).release();
  });

  test('gives up when the time is over, after a last try at its end', async () => {
    const { acquire, rivalLocks, clock } = await startLeaseSetting();
    await rivalLocks();
    const error = await failureOf(passUntilSettled(clock, acquire({ waitMs: 4_000 })));
    expect(error).toMatchObject({ code: 'locked', retryable: false });
    expect(clock.monotonicMs()).toBe(4_000);
  });

  test('may be told to stop', async () => {
    const { acquire, rivalLocks, clock } = await startLeaseSetting();
    await rivalLocks();
    const controller = new AbortController();
    const waiting = failureOf(acquire({ waitMs: 300_000, signal: controller.signal }));
    await clock.whenScheduled();
    controller.abort();
    expect((await waiting).code).toBe('aborted');
    expect(clock.pendingCount).toBe(0);
  });
});

test.each([
  ['forbidden', false],
  ['unsupported', false],
  ['internal', true],
])('a server that says %s is told of; it is asked again: %s', async (code, isRetried) => {
  const { acquire, clock, requests } = await startScriptedLeases({
    lock: ({ answer }) => void answer({ status: 'error', code, message: 'No.', retryable: isRetried }),
  });
  const acquiring = acquire({ retry: AT_ONCE, waitMs: 300_000 });
  const error = await failureOf(passUntilSettled(clock, acquiring));
  expect(error.code).toBe(isRetried ? 'retries-exhausted' : code);
  expect(requests).toHaveLength(isRetried ? 9 : 1);
});

test('a stranger has none', async () => {
  const { acquire } = await startLeaseSetting();
  expect((await failureOf(acquire({}, {}))).code).toBe('forbidden');
});

test('an answer that was lost is asked for again, by the same run', async () => {
  let times = 0;
  const { acquire, requests, clock } = await startScriptedLeases({
    lock: ({ answer, socket }) => void ((times += 1) === 1 ? socket.destroy() : answer({ status: 'ok' })),
  });
  const retries: unknown[] = [];
  await passUntilSettled(clock, acquire({ retry: AT_ONCE, onRetry: (event) => retries.push(event.retry) }));
  expect(retries).toEqual([1]);
  expect(requests.map(({ header }) => header['holder'])).toEqual([
    expect.stringMatching(/^[0-9a-f]{32}$/),
    requests[0]?.header['holder'],
  ]);
});

test('who stops while the server may be granting it gives it back', async () => {
  const { acquire, requested, requests } = await startScriptedLeases({});
  const controller = new AbortController();
  const acquiring = failureOf(acquire({ signal: controller.signal }));
  await requested('lock');
  controller.abort();
  expect((await acquiring).code).toBe('aborted');
  expect((await requested('unlock')).header['holder']).toBe(requests[0]?.header['holder']);
});

describe('the release', () => {
  test('comes after a renewal that is under way, and once', async () => {
    let times = 0;
    const { acquire, actions, clock } = await startScriptedLeases({
      lock: ({ answer }) => void ((times += 1) === 1 && answer({ status: 'ok' })),
      unlock: ({ answer }) => void answer({ status: 'ok' }),
    });
    const lease = await acquire();
    clock.advance(20_000);
    await until(() => times === 2);
    await Promise.all([lease.release(), lease.release()]);
    expect(actions()).toEqual(['lock', 'lock', 'cancel', 'unlock']);
    expect(lease.signal.aborted).toBe(false);
  });

  test('reaches the server over a new connection where the old one is gone', async () => {
    const { acquire, proxy, rivalLocks, clock } = await startLeaseSetting();
    const lease = await acquire();
    proxy.cutAll();
    let isReleased = false;
    void lease.release().then(() => (isReleased = true));
    await untilRetried(clock, () => isReleased);
    expect(await rivalLocks()).toBe('ok');
  });

  test('gives up after a second try, and quietly, where there is no server any more', async () => {
    const { acquire, proxy, clock } = await startLeaseSetting();
    const lease = await acquire();
    proxy.faults = { refuse: true };
    proxy.cutAll();
    let isReleased = false;
    void lease.release().then(() => (isReleased = true));
    await untilRetried(clock, () => isReleased);
    expect(clock.monotonicMs()).toBe(500);
    expect(lease.signal.aborted).toBe(false);
  });

  test('gives up after 5 seconds on a server that is silent', async () => {
    const { acquire, requested, clock } = await startScriptedLeases({
      lock: ({ answer }) => void answer({ status: 'ok' }),
    });
    const releasing = (await acquire()).release();
    await requested('unlock');
    expect(clock.nextDelayMs).toBe(5_000);
    clock.advance(5_000);
    await releasing;
    expect(clock.pendingCount).toBe(0);
  });
});

test('to wait for no number of milliseconds is refused', async () => {
  const { acquire, rivalLocks } = await startLeaseSetting();
  await rivalLocks();
  const failure = await failureOf(acquire({ waitMs: NaN }));
  expect(failure).toMatchObject({ code: 'invalid-argument', retryable: false });
});
