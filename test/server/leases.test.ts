import { describe, expect, test } from 'vitest';

import { MAX_LEASES_PER_PRINCIPAL } from '../../src/protocol/limits.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { RawClient } from '../support/raw-client.ts';
import { startTestServer } from '../support/test-server.ts';

const RUN = 'a'.repeat(32);
const OTHER_RUN = 'b'.repeat(32);

async function start() {
  const clock = new FakeClock();
  const users = { alice: {}, bob: { permissions: [] } };
  const { store, server, login, connect } = await startTestServer({ clock, users, anonymous: 'write' });
  return { clock, store, server, login, connect, alice: await login('alice'), bob: await login('bob') };
}

/** What a request for the lease `nightly` of a minute is answered: `ok`, or the code. */
async function outcome(client: RawClient, action: 'lock' | 'unlock', fields: Record<string, unknown> = {}) {
  const { header } = await client.ask(action, { name: 'nightly', 'ttl-ms': 60_000, ...fields });
  return header['code'] ?? header['status'];
}

test('a lease is held by one principal, who renews it and gives it back over any connection', async () => {
  const { alice, bob, login, clock } = await start();
  await alice.askOk('lock', { name: 'nightly', 'ttl-ms': 60_000 });
  const { header } = await bob.ask('lock', { name: 'nightly', 'ttl-ms': 1 });
  expect(header).toMatchObject({ code: 'locked', retryable: true, 'retry-after-ms': 60_000 });
  expect(await outcome(bob, 'unlock')).toBe('locked');
  expect(await outcome(bob, 'lock', { name: 'hourly' })).toBe('ok');
  await alice.destroy();
  const again = await login('alice');
  clock.advance(40_000);
  await again.askOk('lock', { name: 'nightly', 'ttl-ms': 30_000 });
  clock.advance(29_999);
  const late = await bob.ask('unlock', { name: 'nightly' });
  expect(late.header).toMatchObject({ code: 'locked', retryable: true, 'retry-after-ms': 1 });
  // As a client does that knows no more than that both actions have these two fields.
  await again.askOk('unlock', { name: 'nightly', 'ttl-ms': 30_000 });
  expect(await outcome(bob, 'lock')).toBe('ok');
  expect(await outcome(again, 'lock')).toBe('locked');
});

test('it ends by itself', async () => {
  const { alice, bob, clock } = await start();
  await outcome(alice, 'lock');
  clock.advance(59_999);
  expect(await outcome(bob, 'lock')).toBe('locked');
  clock.advance(1);
  expect(await outcome(bob, 'lock')).toBe('ok');
  expect(await outcome(alice, 'unlock')).toBe('locked');
});

test('a restart of the server ends them all', async () => {
  const { alice, store, server } = await start();
  await outcome(alice, 'lock');
  await server.close({ graceMs: 0 });
  const again = await startTestServer({ store, users: { bob: {} } });
  expect(await outcome(await again.login(), 'lock')).toBe('ok');
});

describe.each([
  ['a run', { holder: RUN }, { holder: OTHER_RUN }],
  ['a run', { holder: RUN }, {}],
  ['a principal', {}, { holder: RUN }],
])('what %s holds with %j', (_, own, other) => {
  test(`is not had with ${JSON.stringify(other)}, though the principal is the same`, async () => {
    const { alice, login } = await start();
    const second = await login('alice');
    expect(await outcome(alice, 'lock', own)).toBe('ok');
    expect(await outcome(second, 'lock', other)).toBe('locked');
    expect(await outcome(second, 'unlock', other)).toBe('locked');
    expect(await outcome(second, 'lock', own)).toBe('ok');
    expect(await outcome(second, 'unlock', own)).toBe('ok');
    expect(await outcome(alice, 'lock', other)).toBe('ok');
  });

  test("is not another principal's who says the same", async () => {
    const { alice, bob } = await start();
    await outcome(alice, 'lock', own);
    expect(await outcome(bob, 'lock', own)).toBe('locked');
    expect(await outcome(bob, 'unlock', own)).toBe('locked');
  });
});

test('what is not held, not any more, or never was, may be given back', async () => {
  const { alice, clock } = await start();
  expect(await outcome(alice, 'unlock')).toBe('ok');
  await outcome(alice, 'lock');
  for (let times = 0; times < 2; times += 1) expect(await outcome(alice, 'unlock')).toBe('ok');
  await outcome(alice, 'lock');
  clock.advance(60_000);
  expect(await outcome(alice, 'unlock')).toBe('ok');
});

test('of those who want it at once, one has it', async () => {
  const { login } = await start();
  const runs = await Promise.all(Array.from({ length: 8 }, () => login('alice')));
  const outcomes = await Promise.all(
    runs.map((run, index) => outcome(run, 'lock', { holder: `${index}`.repeat(32) })),
  );
  expect(outcomes.filter((each) => each === 'ok')).toHaveLength(1);
  expect(outcomes.filter((each) => each === 'locked')).toHaveLength(7);
});

test('a principal holds only so many, renews them all the same, and has room again as they end', async () => {
  const { alice, bob, clock } = await start();
  for (let nth = 0; nth < MAX_LEASES_PER_PRINCIPAL; nth += 1) {
    await alice.askOk('lock', { name: `lease-${nth}`, 'ttl-ms': nth === 7 ? 5_000 : 60_000 });
  }
  const { header } = await alice.ask('lock', { name: 'one-more', 'ttl-ms': 1 });
  expect(header).toMatchObject({ code: 'busy', retryable: true, 'retry-after-ms': 5_000 });
  expect(await outcome(bob, 'lock')).toBe('ok');
  expect(await outcome(alice, 'lock', { name: 'lease-0' })).toBe('ok');
  clock.advance(5_000);
  expect(await outcome(alice, 'lock', { name: 'one-more' })).toBe('ok');
  expect(await outcome(alice, 'lock', { name: 'lease-7' })).toBe('busy');
  await alice.askOk('unlock', { name: 'one-more' });
  expect(await outcome(alice, 'lock', { name: 'lease-7' })).toBe('ok');
});

test('whoever is anonymous holds none, and gives none back', async () => {
  const { connect, alice } = await start();
  const stranger = await connect();
  await stranger.hello();
  expect(await outcome(stranger, 'lock')).toBe('forbidden');
  expect(await outcome(stranger, 'unlock')).toBe('forbidden');
  expect(await outcome(alice, 'lock')).toBe('ok');
});
