import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';

import { certificatePin } from '../../src/trust/pins.ts';
import { issueAuthority, issueCertificate } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startTestServer, tokenOf } from '../support/test-server.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

test('a login ends at its moment, also for who is connected', async () => {
  const clock = new FakeClock(Date.UTC(2030, 0, 30));
  const users = { alice: { limits: 'expires = 2030-01-31' }, bob: {} };
  const { login, connect } = await startTestServer({ users, clock, idleTimeoutMs: 10 * DAY_MS });
  const [alice, bob] = [await login('alice'), await login('bob')];
  clock.advance(DAY_MS - 1);
  expect((await alice.ask('ping')).header['status']).toBe('ok');
  clock.advance(1);
  await alice.ended();
  expect((await bob.ask('ping')).header['status']).toBe('ok');
  const { header } = await (await connect()).hello({ token: tokenOf('alice') });
  expect(header).toMatchObject({ code: 'unauthenticated', message: expect.stringContaining('expired') });
});

test.each([
  ['the certificate', 'the name', 1, 2],
  ['the certificate', 'that it was issued', 1, 2],
  ['the authority behind it', 'the name', 2, 1],
  ['the authority behind it', 'that it was issued', 2, 1],
])('a login by certificate ends with %s, known by %s', async (_, known, certificateHours, authorityHours) => {
  const clock = new FakeClock(Date.now());
  const inHours = (hours: number) => ({ notAfter: new Date(clock.now() + hours * HOUR_MS) });
  const ca = await issueAuthority('CA', undefined, inHours(authorityHours));
  const pair = await issueCertificate({ commonName: 'alice', ca, ...inHours(certificateHours) });
  const pin = certificatePin(new X509Certificate(pair.cert));
  const { server, connect } = await startTestServer({
    users: { alice: known === 'the name' ? { names: ['alice'] } : { limits: `issued = ["${pin}"]` } },
    tls: { clientCa: ca.cert },
    idleTimeoutMs: 10 * DAY_MS,
    clock,
  });
  const [first, second] = [await connect(pair), await connect(pair)];
  for (const client of [first, second]) expect((await client.hello()).header['principal']).toBe('alice');
  clock.advance(HOUR_MS - 5_000);
  server.judgeAgain();
  for (const client of [first, second]) expect((await client.ask('ping')).header['status']).toBe('ok');
  // No timer fires: whoever is judged then is put out as well.
  clock.jump(5_000);
  server.judgeAgain();
  await first.ended();
  await second.ended();
});

test('a login by a pinned certificate does not end with it, whoever signed it', async () => {
  const clock = new FakeClock(Date.now());
  const ca = await issueAuthority();
  const notAfter = new Date(clock.now() + HOUR_MS);
  const pair = await issueCertificate({ commonName: 'alice', ca, notAfter });
  const { server, connect } = await startTestServer({
    users: { alice: { pins: [certificatePin(new X509Certificate(pair.cert))], names: ['alice'] } },
    tls: { clientCa: ca.cert },
    idleTimeoutMs: 10 * DAY_MS,
    clock,
  });
  const client = await connect(pair);
  expect((await client.hello()).header['principal']).toBe('alice');
  clock.advance(2 * HOUR_MS);
  expect((await client.ask('ping')).header['status']).toBe('ok');
  server.judgeAgain();
  expect((await client.ask('ping')).header['status']).toBe('ok');
});

test('a login that ends in the far future waits no shorter than it should', async () => {
  const { login } = await startTestServer({ users: { alice: { limits: 'expires = 2999-01-01' } } });
  // Real timers fire at once where the delay is longer than they can count.
  const alice = await login('alice');
  expect((await alice.ask('ping')).header['status']).toBe('ok');
});

test('a login counts from its addresses only', async () => {
  const users = {
    here: { limits: 'addresses = ["127.0.0.0/8", "::1"]' },
    elsewhere: { limits: 'addresses = ["192.0.2.0/24"]' },
  };
  const { login, connect } = await startTestServer({ users });
  await login('here');
  const { header } = await (await connect()).hello({ token: tokenOf('elsewhere') });
  expect(header).toMatchObject({ code: 'unauthenticated', message: expect.stringContaining('address') });
});

test('on a read-only server nobody may change anything', async () => {
  const { login } = await startTestServer({ readOnly: true });
  const client = await login();
  expect((await client.ask('mkdir', { path: 'a' })).header['code']).toBe('forbidden');
  expect((await client.ask('remove', { path: 'a' })).header['code']).toBe('forbidden');
  expect((await client.ask('list', { path: '' })).header['status']).toBe('ok');
  const { header } = await (
    await (await startTestServer({ readOnly: true, anonymous: 'write' })).connect()
  ).hello();
  expect(header['permissions']).toEqual(['read', 'list']);
});
