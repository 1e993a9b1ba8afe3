import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { Peer } from '../../src/transport/peer.ts';
import { expiringClient, expiringServer } from '../../src/trust/expiring-certificates.ts';
import { issueCertificate } from '../support/certificates.ts';
import { thrownBy } from '../thrown.ts';

const DAY_MS = 86_400_000;
const { cert } = await issueCertificate();
const endsMs = new X509Certificate(cert).validToDate.getTime();

function at(beforeEndMs: number): Clock {
  const none = () => () => undefined;
  return { now: () => endsMs - beforeEndMs, monotonicMs: () => 0, schedule: none };
}

function peerWith(certificate: X509Certificate | undefined): Peer {
  return {
    address: '192.0.2.1',
    port: 1,
    tlsVersion: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    alpn: undefined,
    certificate,
    certificateProblem: undefined,
    isResumed: false,
  };
}

test('a certificate of a client that is none is refused, and by the name of the server it is for', () => {
  const failure = thrownBy(() => expiringClient('garbage', 'box:1', at(0)));
  expect(failure.code).toBe('bad-configuration');
  expect(failure.message).toContain('box:1');
});

test.each([
  [30 * DAY_MS + 1, undefined],
  [30 * DAY_MS, 30],
  [DAY_MS, 1],
  [DAY_MS - 1, 0],
  [-1, -1],
])('so many milliseconds before the end: %i', (beforeEndMs, daysLeft) => {
  const clock = at(beforeEndMs);
  expect(expiringClient(cert, 'box:1', clock)?.daysLeft).toBe(daysLeft);
  const server = expiringServer(peerWith(new X509Certificate(cert)), 'box:1', {}, clock);
  expect(server).toEqual(
    daysLeft === undefined ? undefined : { whose: 'server', place: 'box:1', endsMs, daysLeft },
  );
});

test.each([
  ['a pin decides', { pins: [`sha256//${'A'.repeat(43)}=`] }],
  ['anybody is believed', { insecure: true }],
])('the dates of a server mean nothing where %s', (_, trust) => {
  expect(expiringServer(peerWith(new X509Certificate(cert)), 'box:1', trust, at(0))).toBeUndefined();
  expect(expiringServer(peerWith(undefined), 'box:1', {}, at(0))).toBeUndefined();
});
