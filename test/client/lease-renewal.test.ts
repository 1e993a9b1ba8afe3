import { expect, test } from 'vitest';

import { HELLO } from '../support/scripted-server.ts';
import {
  startLeaseSetting,
  startScriptedLeases,
  TTL_MS,
  until,
  untilRetried,
  type LeaseSetting,
} from './lease-setting.ts';
import { failureOf, passUntilSettled } from './setting.ts';

const THIRD_MS = TTL_MS / 3;

/** Resolves once a lease waits for its next renewal. */
function renewed({ clock }: Pick<LeaseSetting, 'clock'>): Promise<void> {
  return untilRetried(clock, () => clock.nextDelayMs === THIRD_MS);
}

test('a lease is renewed each third of its time, over whatever connection there is', async () => {
  const setting = await startLeaseSetting();
  const { acquire, rivalLocks, clock, serverClock, proxy } = setting;
  const lease = await acquire();
  for (let nth = 0; nth < 9; nth += 1) {
    if (nth % 3 === 2) proxy.cutAll();
    for (const each of [serverClock, clock]) each.advance(THIRD_MS);
    await renewed(setting);
    expect(await rivalLocks()).toBe('locked');
  }
  // The holder's, and each time the one for renewals alone.
  expect(proxy.connections).toBe(5);
  expect(lease.signal.aborted).toBe(false);
  await lease.release();
});

test('the time of a lease is counted from the asking, not from the answer', async () => {
  const { acquire, clock } = await startScriptedLeases({
    lock: ({ answer }) => {
      clock.advance(15_000);
      void answer({ status: 'ok' });
    },
    unlock: ({ answer }) => void answer({ status: 'ok' }),
  });
  const lease = await acquire();
  expect(clock.nextDelayMs).toBe(THIRD_MS - 15_000);
  await lease.release();
});

test('a server that is away for a while is asked until it is there again', async () => {
  const setting = await startLeaseSetting();
  const { acquire, clock, proxy } = setting;
  const lease = await acquire();
  proxy.faults = { refuse: true };
  proxy.cutAll();
  clock.advance(THIRD_MS);
  for (let tries = 0; tries < 5; tries += 1) {
    await clock.whenScheduled(2);
    clock.advance(clock.nextDelayMs ?? 0);
  }
  proxy.faults = {};
  await renewed(setting);
  expect(clock.monotonicMs()).toBeGreaterThan(THIRD_MS + 7_500);
  expect(lease.signal.aborted).toBe(false);
  await lease.release();
});

test('one that stays away costs the lease when its time is over, not sooner', async () => {
  const { acquire, clock, proxy } = await startLeaseSetting();
  const lease = await acquire();
  proxy.faults = { refuse: true };
  proxy.cutAll();
  clock.advance(THIRD_MS);
  while (!lease.signal.aborted) {
    await clock.whenScheduled(2);
    expect(clock.monotonicMs()).toBeLessThan(TTL_MS);
    clock.advance(clock.nextDelayMs ?? 0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(clock.monotonicMs()).toBe(TTL_MS);
  expect(lease.signal.reason).toMatchObject({
    code: 'locked',
    retryable: false,
    message: 'The lock "nightly" was lost: it could not be renewed in time.',
    cause: { retryable: true },
  });
  await passUntilSettled(clock, lease.release());
});

test.each([
  ['answers nothing', 0],
  ['lets no further request begin', 63],
])('a server that %s costs the lease as well', async (_, requests) => {
  let times = 0;
  const { acquire, clock, connector, actions } = await startScriptedLeases({
    lock: ({ answer }) => void ((times += 1) === 1 && answer({ status: 'ok' })),
  });
  const lease = await acquire();
  const client = await connector.use();
  for (let nth = 0; nth < requests; nth += 1) client.ping().catch(() => undefined);
  await until(() => actions().length === 1 + requests);
  clock.advance(THIRD_MS);
  await until(() => clock.nextDelayMs === 2 * THIRD_MS);
  clock.advance(2 * THIRD_MS);
  await until(() => lease.signal.aborted);
  expect(lease.signal.reason).toMatchObject({
    code: 'locked',
    retryable: false,
    message: 'The lock "nightly" was lost: it could not be renewed in time.',
  });
  await passUntilSettled(clock, lease.release());
});

test('what waits on the connection of its holder does not keep a lease from being renewed', async () => {
  const { acquire, clock, connector, requests } = await startScriptedLeases({
    lock: ({ answer }) => void answer({ status: 'ok' }),
    unlock: ({ answer }) => void answer({ status: 'ok' }),
  });
  await using lease = await acquire();
  const client = await connector.use();
  for (let nth = 0; nth < 64; nth += 1) client.ping().catch(() => undefined);
  clock.advance(THIRD_MS);
  await renewed({ clock });
  const locks = requests.filter(({ header }) => header['action'] === 'lock');
  expect(locks).toHaveLength(2);
  expect(lease.signal.aborted).toBe(false);
  await client.close();
});

test('where only one connection is to be had, a lease is renewed over that', async () => {
  let connections = 0;
  const { acquire, clock, actions } = await startScriptedLeases({
    hello: ({ answer }) =>
      void answer(
        (connections += 1) === 1 ? HELLO : { status: 'error', code: 'busy', message: 'You have one.' },
      ),
    lock: ({ answer }) => void answer({ status: 'ok' }),
    unlock: ({ answer }) => void answer({ status: 'ok' }),
  });
  await using lease = await acquire();
  for (let nth = 2; nth < 5; nth += 1) {
    clock.advance(THIRD_MS);
    await renewed({ clock });
    expect(actions().filter((action) => action === 'lock')).toHaveLength(nth);
  }
  expect(connections).toBe(4);
  expect(lease.signal.aborted).toBe(false);
});

test('another run that has it meanwhile is noticed at the renewal, and left in peace', async () => {
  const { acquire, rivalLocks, clock, serverClock } = await startLeaseSetting();
  const lease = await acquire();
  serverClock.advance(TTL_MS);
  expect(await rivalLocks()).toBe('ok');
  clock.advance(THIRD_MS);
  await until(() => lease.signal.aborted);
  expect(lease.signal.reason).toMatchObject({
    code: 'locked',
    retryable: false,
    message: 'The lock "nightly" was lost: another run holds it now.',
  });
  expect(clock.pendingCount).toBe(0);
  await lease.release();
  expect((await failureOf(acquire())).code).toBe('locked');
});

test('a server that refuses for good is told of as it says', async () => {
  let times = 0;
  const { acquire, clock } = await startScriptedLeases({
    lock: ({ answer }) =>
      void answer(
        (times += 1) === 1 ? { status: 'ok' } : { status: 'error', code: 'forbidden', message: 'No.' },
      ),
    unlock: ({ answer }) => void answer({ status: 'error', code: 'forbidden', message: 'No.' }),
  });
  const lease = await acquire();
  clock.advance(THIRD_MS);
  await until(() => lease.signal.aborted);
  expect(lease.signal.reason).toMatchObject({ code: 'forbidden' });
  await lease.release();
});
