import { PassThrough } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { diagnosisLines } from '../../src/cli/doctor-display.ts';
import type { Diagnosis } from '../../src/diagnostics/doctor.ts';
import type { TlsReport } from '../../src/diagnostics/tls-findings.ts';
import { formatAddress } from '../../src/transport/address.ts';
import { loopbackCertificate } from '../support/certificates.ts';
import { CliHome } from '../support/cli.ts';
import { REFUSING_PORT } from '../support/refusing-port.ts';
import { startTestServer, tokenOf } from '../support/test-server.ts';
import { runHere } from './run-here.ts';

const home = new CliHome();
afterAll(() => home.close());

const FILE = stream({ isTTY: false });
const TERMINAL = stream({ isTTY: true, columns: 60, getColorDepth: () => 1 });

const nothingSeen: TlsReport = {
  version: null,
  cipher: null,
  group: null,
  postQuantum: null,
  signature: null,
  alpn: null,
  alpnEnforced: null,
  servername: null,
  resumption: null,
  olderVersions: null,
  clientCertificate: { requested: null, authorities: null, accepted: null },
};

function stream(properties: Partial<NodeJS.WriteStream>): NodeJS.WriteStream {
  return Object.assign(new PassThrough(), properties) as unknown as NodeJS.WriteStream;
}

function diagnosis(parts: Partial<Diagnosis>): Diagnosis {
  return {
    target: 'there:7433',
    end: undefined,
    steps: [],
    addresses: [],
    tls: null,
    certificate: null,
    clockSkewMs: null,
    findings: [],
    ...parts,
  };
}

/** What is told of the TLS of a server, by its names. */
function toldOf(tls: Partial<TlsReport>): Record<string, string> {
  const lines = diagnosisLines(diagnosis({ tls: { ...nothingSeen, ...tls } }), 0, FILE);
  return Object.fromEntries(
    lines.slice(2, -2).map((line) => [line.slice(0, 12).trim(), line.slice(12).trim()]),
  );
}

describe('of the TLS of a server', () => {
  test('what was not seen is not guessed', () => {
    expect(toldOf({})).toEqual({
      version: 'not observed',
      'also takes': 'not observed',
      cipher: 'not observed',
      group: 'not observed',
      proof: 'not observed',
      alpn: 'none',
      'asked for': 'no name',
      resumption: 'not observed',
      'client cert': 'not observed',
    });
  });

  test.each<[Partial<TlsReport>, Record<string, string>]>([
    [{ olderVersions: [] }, { 'also takes': 'nothing older' }],
    [{ olderVersions: ['TLSv1.2', 'TLSv1.1'] }, { 'also takes': 'TLSv1.2, TLSv1.1' }],
    [{ group: 'X25519MLKEM768', postQuantum: true }, { group: 'X25519MLKEM768 (post-quantum)' }],
    [{ group: 'X25519', postQuantum: false }, { group: 'X25519 (not post-quantum)' }],
    [{ alpn: 'sealift/1', alpnEnforced: true }, { alpn: 'sealift/1 (enforced)' }],
    [{ alpn: 'h2', alpnEnforced: false }, { alpn: 'h2 (not enforced)' }],
    [{ resumption: true }, { resumption: 'accepted' }],
    [{ resumption: false }, { resumption: 'not accepted' }],
  ])('%j is told as %j', (tls, told) => {
    expect(toldOf(tls)).toMatchObject(told);
  });

  test.each<[TlsReport['clientCertificate'], string]>([
    [{ requested: false, authorities: null, accepted: null }, 'not asked for'],
    [{ requested: true, authorities: [], accepted: null }, 'asked for'],
    [
      { requested: true, authorities: ['CN = A', 'CN = B'], accepted: null },
      'asked for, from CN = A or CN = B',
    ],
    [{ requested: true, authorities: null, accepted: true }, 'asked for, ours accepted'],
    [{ requested: true, authorities: null, accepted: false }, 'asked for, ours refused'],
  ])('a client certificate: %j is told as %j', (clientCertificate, told) => {
    expect(toldOf({ clientCertificate })).toMatchObject({ 'client cert': told });
  });
});

test('the clocks are compared in both directions', () => {
  expect(diagnosisLines(diagnosis({ clockSkewMs: 1_500 }), 0, FILE)).toContain(
    'clock       +1500 ms from ours',
  );
  expect(diagnosisLines(diagnosis({ clockSkewMs: -20 }), 0, FILE)).toContain('clock       -20 ms from ours');
});

test('the verdict counts what was found', () => {
  const error = { severity: 'error', code: 'expired', message: 'Over.', remedy: 'Renew it.' } as const;
  const warning = { severity: 'warning', code: 'no-alpn', message: 'None.', remedy: 'Offer it.' } as const;
  const info = { severity: 'info', code: 'not-post-quantum', message: 'Old.', remedy: 'Update.' } as const;
  const verdict = (findings: Diagnosis['findings'], exitCode: number) =>
    diagnosisLines(diagnosis({ findings }), exitCode, FILE).at(-1);
  expect(verdict([], 0)).toBe('ok: nothing found');
  expect(verdict([warning, info, info], 0)).toBe('ok: 1 warning, 2 info');
  expect(verdict([error, error, warning, warning], 6)).toBe('failed, exit code 6: 2 errors, 2 warnings');
});

test('on a terminal lines are folded between words, and a word that is longer is left whole', () => {
  const pin = `sha256//${'A'.repeat(70)}=`;
  const message = 'The certificate of this server was not made by anybody whom this machine trusts.';
  const findings = [{ severity: 'error', code: 'unknown-ca', message, remedy: `Use --pin ${pin}` }] as const;
  const shown = diagnosis({ findings: [...findings] });
  const lines = diagnosisLines(shown, 6, TERMINAL);
  expect(lines.filter((line) => line.length > 60 && !line.includes(pin))).toEqual([]);
  expect(lines.some((line) => line.trim() === pin)).toBe(true);
  const joined = lines.map((line) => line.trim()).join(' ');
  expect(joined).toContain(message);
  expect(diagnosisLines(shown, 6, FILE)).toContain(`        ${message}`);
});

test('what a server says cannot write to the terminal', () => {
  const steps = [{ name: 'application', state: 'failed', ms: 1, detail: 'a\u001b[2Jb' }] as const;
  const lines = diagnosisLines(diagnosis({ target: 'x\u001b[2J', steps: [...steps] }), 8, FILE);
  expect(lines.join('\n')).not.toContain('\u001b');
});

describe('sealift doctor', () => {
  test('tells steps, facts and verdict of a server that is in order; with --pem, beside its certificate', async () => {
    const { address } = await startTestServer();
    const { cert } = await loopbackCertificate();
    const ca = ['--ca', home.write('own.pem', cert), '--token-file', home.write('token', tokenOf('tester'))];
    const { code, stdout } = await runHere(home, ['doctor', formatAddress(address), ...ca]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^doctor 127\.0\.0\.1:\d+\n\nok +dns .*\nok +tcp .*\nok +tls .*\nok +certificate /,
    );
    expect(stdout).toMatch(/\nversion +TLSv1\.3\n/);
    expect(stdout).toMatch(/\nmatches +127\.0\.0\.1\n/);
    expect(stdout).toMatch(/\nok: .*\n$/);

    const withPem = await runHere(home, ['doctor', formatAddress(address), '--pem', ...ca]);
    expect(withPem.stdout.trim()).toBe(cert.trim());
    expect(withPem.stderr).toMatch(/\nok: .*\n$/);
  });

  test('-q says only why a server cannot be used, and names it', async () => {
    const { address } = await startTestServer();
    const { code, stdout, stderr } = await runHere(home, ['doctor', formatAddress(address), '-q']);
    expect({ code, stdout }).toEqual({ code: 6, stdout: '' });
    expect(stderr).toMatch(/^sealift: doctor: self-signed: .*127\.0\.0\.1:\d+.*\n$/);
  });

  test('of a server that is not there it tells the steps that were not taken', async () => {
    const { code, stdout } = await runHere(home, ['doctor', `127.0.0.1:${REFUSING_PORT}`]);
    expect(code).toBe(7);
    expect(stdout).toMatch(
      /\nfailed +tcp .*\nskipped tls\nskipped certificate\nskipped login\nskipped application\n/,
    );
    expect(stdout).toMatch(/\nfailed, exit code 7: 1 error\n$/);
  });
});
