import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';

import { systemClock, type Clock } from '../../src/clock.ts';
import { sealiftApplication } from '../../src/diagnostics/application-step.ts';
import { diagnose, type Diagnosis } from '../../src/diagnostics/doctor.ts';
import { endOf } from '../../src/diagnostics/findings.ts';
import { parseRequirement } from '../../src/diagnostics/requirements.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { issueAuthority, issueCertificate, loopbackCertificate } from '../support/certificates.ts';
import { tlsServer } from '../support/listening.ts';
import { startTestServer, tokenOf, type TestServerOptions } from '../support/test-server.ts';

function codes({ findings }: Diagnosis, severity?: string): string[] {
  return findings
    .filter((each) => severity === undefined || each.severity === severity)
    .map(({ code }) => code);
}

/** A server and how to reach it with everything in order; no other program is asked. */
async function reachable(options: TestServerOptions = {}) {
  const { address } = await startTestServer(options);
  const pins = [certificatePin(new X509Certificate((await loopbackCertificate()).cert))];
  return { openssl: 'no-such-program', options: { address, pins, token: tokenOf('tester') } };
}

test('what only openssl shows is not observed without it', async () => {
  const { options, openssl } = await reachable();
  const { tls, end } = await diagnose({ server: options, openssl });
  expect(end).toBeUndefined();
  expect(tls).toMatchObject({
    version: 'TLSv1.3',
    signature: null,
    clientCertificate: { requested: null, authorities: null },
  });
  expect(tls?.group).not.toBeNull();
});

test('a clock that is off is told, and which way', async () => {
  const { options, openssl } = await reachable();
  const clock: Clock = { ...systemClock, now: () => systemClock.now() - 60_000 };
  const diagnosis = await diagnose({ server: options, openssl, clock });
  expect(codes(diagnosis, 'warning')).toContain('clock-skew');
  expect(diagnosis.findings.find(({ code }) => code === 'clock-skew')?.message).toContain(
    '60 s ahead of ours',
  );
});

describe('a client certificate', () => {
  test('that the server knows is told to be accepted, and one that it does not know to be refused', async () => {
    const clientCa = await issueAuthority();
    const tls = { clientCa: clientCa.cert };
    const { options } = await reachable({ users: { tester: { names: ['me'] } }, tls });
    const { token: _unused, ...server } = options;
    const [known, unknown] = await Promise.all(
      ['me', 'you'].map(async (commonName) => {
        const pair = await issueCertificate({ ca: clientCa, commonName, names: [commonName] });
        return diagnose({ server: { ...server, ...pair } });
      }),
    );
    expect(known?.end).toBeUndefined();
    expect(known?.tls?.clientCertificate.accepted).toBe(true);
    expect(unknown?.end).toBe('login');
    expect(unknown?.tls?.clientCertificate.accepted).toBe(false);
  });
});

test('a server that only the login does not believe is not trusted, rather than out of order', async () => {
  const { options } = await reachable();
  const other = `sha256//${Buffer.alloc(32).toString('base64')}`;
  for (const [pins, code] of [
    [[], 'untrusted'],
    [[other], 'pin-mismatch'],
  ] as const) {
    const { login, findings } = await sealiftApplication({ ...options, pins }, systemClock);
    expect(login.state).toBe('failed');
    expect(findings.map((each) => each.code)).toEqual([code]);
    expect(endOf(findings)).toBe('trust');
  }
});

test('a certificate that is sent and proves nothing may have expired', async () => {
  const ca = await issueAuthority();
  const { cert, key } = await issueCertificate({ ca });
  const past = (days: number) => new Date(Date.now() - days * 86_400_000);
  const former = await issueCertificate({ notBefore: past(2), notAfter: past(1) });
  const { options, openssl } = await reachable({ tls: { cert: cert + former.cert, key } });
  const diagnosis = await diagnose({ server: { ...options, pins: [], ca: ca.cert }, openssl });
  expect(diagnosis.certificate?.chain).toHaveLength(1);
  expect(codes(diagnosis, 'error')).toEqual([]);
  expect(codes(diagnosis, 'warning')).toContain('expired');
});

test('a name is the one in the certificate, also with umlauts or a final dot', async () => {
  const ca = await issueAuthority();
  const { cert, key } = await issueCertificate({ ca, names: ['xn--bcher-kva.example'] });
  const { options, openssl } = await reachable({ tls: { cert, key } });
  for (const servername of ['bücher.example', 'BÜCHER.example', 'xn--bcher-kva.example.']) {
    const server = { ...options, pins: [], ca: ca.cert, servername };
    const { end, certificate } = await diagnose({ server, openssl });
    expect(end).toBeUndefined();
    expect(certificate?.matchedName).toBe('xn--bcher-kva.example');
  }
  const server = { ...options, pins: [], ca: ca.cert, servername: 'bucher.example' };
  expect(codes(await diagnose({ server, openssl }), 'error')).toEqual(['wrong-name']);
});

test('an old version is found also where it is spoken with suites alone that nobody offers any more', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const ca = await issueAuthority();
  const address = await tlsServer({
    ...(await issueCertificate({ ca, key })),
    minVersion: 'TLSv1',
    ciphers: 'TLS_AES_256_GCM_SHA384:CAMELLIA128-SHA:@SECLEVEL=0',
  });
  const diagnosis = await diagnose({ server: { address, ca: ca.cert }, openssl: 'no-such-program' });
  expect(diagnosis.tls?.olderVersions).toEqual(['TLSv1.2', 'TLSv1.1', 'TLSv1']);
  expect(codes(diagnosis, 'warning')).toContain('old-version');
});

test('a protocol that the server does not speak is refused', async () => {
  const { options, openssl } = await reachable();
  const diagnosis = await diagnose({ server: options, openssl, alpn: 'no-such-protocol' });
  expect(diagnosis.end).toBe('trust');
  expect(codes(diagnosis, 'error')).toEqual(['alpn-refused']);
  // Nor does it go on without any: it ends the connection right behind the handshake, which may be seen to end before.
  expect(diagnosis.tls?.alpn ?? null).toBeNull();
});

test('a name that does not resolve ends the examination, and nothing is observed', async () => {
  const server = { address: { host: 'no-such-host.invalid', port: 1 } };
  const diagnosis = await diagnose({ server, requirements: [parseRequirement('tls>=1.3')] });
  expect(diagnosis.end).toBe('unreachable');
  expect(codes(diagnosis)).toEqual(['unreachable', 'condition-failed']);
  expect(diagnosis.steps.map(({ state }) => state)).toEqual([
    'failed',
    ...new Array<string>(5).fill('skipped'),
  ]);
});

test('an address of the other family is none', async () => {
  const { options, openssl } = await reachable();
  expect((await diagnose({ server: options, openssl, family: 6 })).end).toBe('unreachable');
});

test('who stops it is not told a diagnosis', async () => {
  const { options, openssl } = await reachable();
  const signal = AbortSignal.abort();
  await expect(diagnose({ server: { ...options, signal }, openssl })).rejects.toMatchObject({
    code: 'aborted',
  });
});
