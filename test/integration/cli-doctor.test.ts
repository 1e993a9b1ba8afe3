import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { formatAddress } from '../../src/transport/address.ts';
import { runHere } from '../cli/run-here.ts';
import { issueAuthority, issueCertificate, loopbackCertificate, type Pair } from '../support/certificates.ts';
import { CliHome } from '../support/cli.ts';
import { isInstalled } from '../support/installed.ts';
import { REFUSING_PORT } from '../support/refusing-port.ts';
import { startTestServer, tokenOf } from '../support/test-server.ts';
import { nginxServers, opensslServer, stunnelServer } from '../support/tls-servers.ts';

interface Diagnosed {
  target: string;
  ok: boolean;
  exitCode: number;
  steps: { name: string; state: string; ms: number | null }[];
  tls: Record<string, unknown> | null;
  certificate: Record<string, unknown> | null;
  findings: { severity: string; code: string; message: string; remedy: string }[];
}

const DAY_MS = 86_400_000;
const home = new CliHome();
let authority: Pair;
let caFile: string;
beforeAll(async () => {
  authority = await issueAuthority();
  caFile = home.write('ca.pem', authority.cert);
});
afterAll(() => home.close());

async function doctor(place: string, args: readonly string[] = []): Promise<Diagnosed> {
  const { code, events } = await runHere(home, ['doctor', place, '--json', ...args]);
  expect(events).toHaveLength(1);
  const diagnosed = events[0] as unknown as Diagnosed;
  expect(diagnosed.exitCode).toBe(code);
  expect(diagnosed.ok).toBe(code === 0);
  for (const { remedy } of diagnosed.findings) expect(remedy).not.toBe('');
  return diagnosed;
}

/** The codes of the findings of a severity. */
function codes({ findings }: Diagnosed, severity: string): string[] {
  return findings.filter((finding) => finding.severity === severity).map(({ code }) => code);
}

function inDays(days: number): Date {
  return new Date(Date.now() + days * DAY_MS);
}

const programs = { openssl: 'version', nginx: '-v', stunnel4: '-version' };
const missing = Object.entries(programs)
  .filter(([program, argument]) => !isInstalled(program, argument))
  .map(([program]) => program);

describe.skipIf(missing.length > 0)('the faults of servers of other makes', () => {
  const faults: Record<string, { place: string; args?: string[] }> = {};

  beforeAll(async () => {
    const valid = await issueCertificate({ ca: authority, notAfter: inDays(90) });
    const middle = await issueAuthority('Middle', authority);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 });
    const weakKey = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const [sites, expired, weak, demanding, ticketless, otherName] = await Promise.all([
      nginxServers(home, {
        good: { pair: valid, lines: 'ssl_protocols TLSv1.2 TLSv1.3;' },
        early: {
          pair: await issueCertificate({ ca: authority, notBefore: inDays(1), notAfter: inDays(90) }),
        },
        stranger: {
          pair: await issueCertificate({ ca: await issueAuthority('Stranger'), notAfter: inDays(90) }),
        },
        gap: { pair: await issueCertificate({ ca: middle, notAfter: inDays(90) }) },
        old: { pair: valid, lines: 'ssl_protocols TLSv1.2;' },
        plain: {},
        asking: { pair: valid, lines: `ssl_client_certificate ${caFile}; ssl_verify_client on;` },
      }),
      opensslServer(
        home,
        'expired',
        await issueCertificate({ ca: authority, notBefore: inDays(-9), notAfter: inDays(-1) }),
      ),
      opensslServer(
        home,
        'weak',
        await issueCertificate({ ca: authority, notAfter: inDays(90), key: weakKey }),
        ['-cipher', 'ALL:@SECLEVEL=0'],
      ),
      opensslServer(home, 'demanding', valid, ['-Verify', '1', '-CAfile', caFile]),
      opensslServer(home, 'ticketless', valid, ['-num_tickets', '0']),
      stunnelServer(
        home,
        'other-name',
        await issueCertificate({ ca: authority, names: ['box.example'], notAfter: inDays(90) }),
      ),
    ]);
    const ca = ['--ca', caFile];
    const named = [...ca, '--servername', 'localhost'];
    Object.assign(faults, {
      none: { place: sites.good, args: named },
      expired: { place: expired, args: ca },
      'not yet valid': { place: sites.early, args: named },
      'wrong name': { place: otherName, args: ca },
      'unknown authority': { place: sites.stranger, args: ['--servername', 'localhost'] },
      'missing intermediate': { place: sites.gap, args: named },
      'weak key': { place: weak, args: ca },
      'old version': { place: sites.old, args: named },
      'client certificate, in TLS': { place: demanding, args: ca },
      'sessions of TLS 1.2 only': { place: ticketless, args: ca },
      'client certificate, in HTTP': { place: sites.asking, args: named },
      'plain HTTP': { place: sites.plain, args: named },
    });
  });

  test.each<[string, number, string, string, string]>([
    ['expired', 6, 'error', 'expired', 'certificate'],
    ['not yet valid', 6, 'error', 'not-yet-valid', 'certificate'],
    ['wrong name', 6, 'error', 'wrong-name', 'certificate'],
    ['unknown authority', 6, 'error', 'unknown-ca', 'certificate'],
    ['missing intermediate', 6, 'error', 'missing-intermediate', 'certificate'],
    ['weak key', 6, 'error', 'weak-key', 'certificate'],
    ['client certificate, in TLS', 6, 'error', 'client-certificate-required', 'login'],
    ['client certificate, in HTTP', 6, 'error', 'client-certificate-required', 'login'],
    ['plain HTTP', 7, 'error', 'not-tls', 'tls'],
    ['old version', 0, 'warning', 'old-version', ''],
    ['sessions of TLS 1.2 only', 0, 'warning', 'resumption', ''],
  ])('%s: exit code %i, %s %s', async (name, exitCode, severity, code, failedStep) => {
    const { place, args } = faults[name] ?? { place: '' };
    const diagnosed = await doctor(place, args);
    expect(diagnosed).toMatchObject({ exitCode });
    expect(codes(diagnosed, severity)).toContain(code);
    // Of a chain that breaks off nobody can tell whether a link is missing or the end is unknown.
    expect(codes(diagnosed, 'error').filter((each) => each !== code && each !== 'unknown-ca')).toEqual([]);
    const failed = diagnosed.steps.find(({ state }) => state === 'failed')?.name ?? '';
    expect(failed).toBe(failedStep);
    // Who demands one does not go on without.
    if (code === 'client-certificate-required')
      expect(codes(diagnosed, 'info')).not.toContain('client-certificate-requested');
  });

  test('nothing is wrong with a good server, and all of it is told', async () => {
    const { place, args } = faults['none'] ?? { place: '' };
    const diagnosed = await doctor(place, args);
    expect(codes(diagnosed, 'error')).toEqual([]);
    expect(diagnosed.tls).toMatchObject({
      version: 'TLSv1.3',
      cipher: 'TLS_AES_256_GCM_SHA384',
      alpn: 'http/1.1',
    });
    expect(diagnosed.tls).toMatchObject({ signature: 'ECDSA SHA256', servername: 'localhost' });
    expect(diagnosed.certificate).toMatchObject({ matchedName: 'localhost', key: 'EC P-256', chain: [] });
    expect(diagnosed.steps.at(-1)).toMatchObject({ name: 'application', state: 'ok' });
  });

  test('a client certificate that is asked for is shown, and found to be accepted', async () => {
    const { cert, key } = await issueCertificate({ ca: authority, commonName: 'me' });
    const own = ['--cert', home.write('me.pem', cert), '--key', home.write('me.key', key)];
    const { place, args = [] } = faults['client certificate, in TLS'] ?? { place: '' };
    const diagnosed = await doctor(place, [...args, ...own]);
    expect(diagnosed.exitCode).toBe(0);
    const { clientCertificate } = diagnosed.tls ?? {};
    expect(clientCertificate).toEqual({
      requested: true,
      authorities: ['CN = Test authority'],
      accepted: true,
    });
    expect(diagnosed.steps[4]).toMatchObject({ name: 'login', state: 'ok' });
  });
});

describe('a server of this project', () => {
  test('which nobody here trusts yet shows that it is self-signed, and is told nothing', async () => {
    const { address } = await startTestServer();
    const diagnosed = await doctor(formatAddress(address));
    expect(diagnosed.exitCode).toBe(6);
    expect(codes(diagnosed, 'error')).toEqual(['self-signed']);
    expect(diagnosed.steps.map(({ state }) => state)).toEqual([
      'ok',
      'ok',
      'ok',
      'failed',
      'skipped',
      'skipped',
    ]);
    expect(diagnosed.tls).toMatchObject({
      alpn: 'sealift/1',
      alpnEnforced: true,
      resumption: false,
      olderVersions: [],
    });
  });

  test('which is pinned and knows the token is in order from name to application', async () => {
    const { address } = await startTestServer();
    const pin = String((await doctor(formatAddress(address))).certificate?.['pin']);
    const token = ['--token-file', home.write('token', tokenOf('tester'))];
    const diagnosed = await doctor(formatAddress(address), ['--pin', pin, ...token]);
    expect(diagnosed).toMatchObject({ ok: true, exitCode: 0 });
    expect(diagnosed.steps.map(({ state }) => state)).toEqual(new Array<string>(6).fill('ok'));

    const stranger = await doctor(formatAddress(address), ['--pin', pin]);
    expect(stranger.exitCode).toBe(5);
    expect(codes(stranger, 'error')).toEqual(['login-refused']);

    const otherPin = `sha256//${Buffer.alloc(32).toString('base64')}`;
    const impostor = await doctor(formatAddress(address), ['--pin', otherPin, ...token]);
    expect(impostor.exitCode).toBe(6);
    expect(codes(impostor, 'error')).toEqual(['pin-mismatch']);
    expect(impostor.steps[4]).toMatchObject({ name: 'login', state: 'skipped' });
  });

  test('is held to what is required, and trust comes first', async () => {
    const { address } = await startTestServer();
    const ca = ['--ca', home.write('own.pem', (await loopbackCertificate()).cert)];
    const token = ['--token-file', home.write('token', tokenOf('tester'))];
    const requiring = (...conditions: string[]) =>
      conditions.flatMap((condition) => ['--require', condition]);
    const place = formatAddress(address);
    const met = await doctor(place, [
      ...ca,
      ...token,
      ...requiring('tls>=1.3', 'alpn=sealift/1', 'rtt<=10s'),
    ]);
    expect(met.exitCode).toBe(0);
    const unmet = await doctor(place, [
      ...ca,
      ...token,
      ...requiring('tls>=1.3', 'cert-days>=14', 'rate>=1'),
    ]);
    expect(unmet.exitCode).toBe(15);
    expect(codes(unmet, 'error')).toEqual(['condition-failed', 'condition-failed']);
    expect((await doctor(place, requiring('cert-days>=14'))).exitCode).toBe(6);
  });

  test('which is not there is unreachable', async () => {
    const diagnosed = await doctor(`127.0.0.1:${REFUSING_PORT}`, ['--require', 'tls>=1.3']);
    expect(diagnosed.exitCode).toBe(7);
    expect(codes(diagnosed, 'error')).toEqual(['unreachable', 'condition-failed']);
    expect(diagnosed).toMatchObject({ tls: null, certificate: null });
  });
});
