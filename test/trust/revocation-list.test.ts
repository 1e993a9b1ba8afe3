import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { issueCertificate } from '../../src/trust/ca/issue.ts';
import { renewAuthority } from '../../src/trust/ca/authority.ts';
import { revoke } from '../../src/trust/ca/revoke.ts';
import { signedCrl } from '../../src/trust/ca/signed-crl.ts';
import { parseRevocationLists } from '../../src/trust/revocation-list.ts';
import { loadX509, signingKey } from '../../src/trust/signed-certificate.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { thrownBy } from '../thrown.ts';
import { DAY_MS, newAuthority, textOf } from './ca/setting.ts';
import { hasOpenssl } from './openssl.ts';
import { test } from './scratch.ts';

/** An authority, its list, and two certificates of which the first was revoked. */
async function setting(directory: string, name = 'Test CA', clock = new FakeClock()) {
  const authority = await newAuthority(directory, { name, clock });
  const issue = async (client: string) => (await issueCertificate(authority, { client }, 100)).certificate;
  const [revoked, other] = [await issue('revoked'), await issue('other')];
  await revoke(authority, 'revoked', 90);
  return { authority, pem: authority.pem, revoked, other, clock, crl: textOf(join(directory, 'ca.crl')) };
}

describe('a list of revoked certificates', () => {
  test('tells what is revoked, and when there will be another one', async ({ directory }) => {
    const { crl, pem, revoked, other, clock } = await setting(directory);
    const lists = parseRevocationLists(crl, pem, 'f.crl');
    expect(lists.isRevoked(revoked)).toBe(true);
    expect(lists.isRevoked(other)).toBe(false);
    expect(lists.nextUpdateMs).toBe(clock.now() + 90 * DAY_MS);
  });

  test('speaks for its own authority only, also where serial numbers are the same', async ({ directory }) => {
    const { crl, pem, revoked } = await setting(directory);
    const other = await newAuthority(join(directory, 'other'), { name: 'Other CA' });
    const serial = { serial: revoked.serialNumber, revokedMs: 0 };
    const foreign = await signedCrl({ number: 1n, revoked: [serial], days: 1 }, other);
    const cas = pem + other.pem;
    expect(parseRevocationLists(foreign, cas, 'f.crl').isRevoked(revoked)).toBe(false);
    expect(parseRevocationLists(foreign + crl, cas, 'f.crl').isRevoked(revoked)).toBe(true);
  });

  test('knows its authority by another spelling, as OpenSSL does', async ({ directory }) => {
    const { authority, crl, pem, revoked } = await setting(directory);
    const x509 = await loadX509();
    const { publicKey } = new x509.X509Certificate(revoked.raw);
    const respelt = await x509.X509CertificateGenerator.create({
      serialNumber: revoked.serialNumber,
      subject: 'CN=revoked',
      issuer: 'CN=TEST  ca',
      notAfter: revoked.validToDate,
      publicKey,
      signingKey: signingKey(authority.key),
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    });
    const certificate = new X509Certificate(new Uint8Array(respelt.rawData));
    expect(certificate.checkIssued(authority.certificate)).toBe(true);
    expect(parseRevocationLists(crl, pem, 'f.crl').isRevoked(certificate)).toBe(true);
  });

  test('may stand among others, and the first to be out of date counts', async ({ directory }) => {
    const clock = new FakeClock();
    const one = await setting(join(directory, 'one'), 'One', clock);
    const two = await setting(join(directory, 'two'), 'Two', clock);
    const sooner = await signedCrl({ number: 9n, revoked: [], days: 5 }, two.authority);
    const text = `comment\n${one.crl}\n${two.crl}${sooner.replaceAll('\n', '\r\n')}`;
    const lists = parseRevocationLists(text, two.pem + one.pem, 'f.crl');
    for (const { revoked, other } of [one, two]) {
      expect(lists.isRevoked(revoked)).toBe(true);
      expect(lists.isRevoked(other)).toBe(false);
    }
    expect(lists.nextUpdateMs).toBe(clock.now() + 5 * DAY_MS);
  });

  test('that is out of date still counts', async ({ directory }) => {
    const { crl, pem, revoked } = await setting(directory, 'Test CA', new FakeClock(Date.UTC(2001, 0, 1)));
    const lists = parseRevocationLists(crl, pem, 'f.crl');
    expect(lists.isRevoked(revoked)).toBe(true);
    expect(lists.nextUpdateMs).toBe(Date.UTC(2001, 3, 1));
  });

  test('beyond 2049, where dates are written otherwise', async ({ directory }) => {
    const { crl, pem, clock } = await setting(directory, 'Test CA', new FakeClock(Date.UTC(2050, 0, 1)));
    expect(parseRevocationLists(crl, pem, 'f.crl').nextUpdateMs).toBe(clock.now() + 90 * DAY_MS);
  });

  test('still counts when its authority has a new certificate', async ({ directory }) => {
    const { crl, authority, revoked } = await setting(directory);
    const { pem } = await renewAuthority(authority, 5_000);
    expect(parseRevocationLists(crl, pem, 'f.crl').isRevoked(revoked)).toBe(true);
  });

  test('with serial numbers of any form is understood', async ({ directory }) => {
    const { authority, pem, revoked } = await setting(directory);
    const serials = ['1', '80', 'FF00', '0123456789ABCDEF', 'F'.repeat(40)];
    const entries = serials.map((serial) => ({ serial, revokedMs: authority.clock.now() }));
    const crl = await signedCrl({ number: 128n, revoked: entries, days: 1 }, authority);
    const lists = parseRevocationLists(crl, pem, 'f.crl');
    const withSerial = (serialNumber: string) =>
      lists.isRevoked({ issuer: revoked.issuer, serialNumber } as X509Certificate);
    for (const serial of ['01', '80', 'FF00', '0123456789ABCDEF', '123456789ABCDEF', 'F'.repeat(40)])
      expect(withSerial(serial), serial).toBe(true);
    for (const serial of ['02', '7F', 'FF', '00']) expect(withSerial(serial), serial).toBe(false);
  });
});

describe('refused is a list', () => {
  const refusal = (text: string, ca: string) => {
    const { code, message } = thrownBy(() => parseRevocationLists(text, ca, 'f.crl'));
    expect(message).toContain('f.crl');
    return { code, message };
  };

  test.for<[string, (crl: string) => string]>([
    ['that is empty', () => ''],
    ['that is none', () => 'x'],
    ['that is a certificate', () => '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'],
    ['that is cut off', (crl) => crl.slice(0, 200)],
    ['with another that is cut off', (crl) => crl + crl.slice(0, 200)],
    ['without content', () => '-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n'],
    ['whose content is no list', () => '-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n'],
  ])('%s', async ([, damage], { directory }) => {
    const { crl, pem } = await setting(directory);
    expect(refusal(damage(crl), pem).code).toBe('bad-configuration');
  });

  test('of which any byte was changed', async ({ directory }) => {
    const { crl, pem } = await setting(directory);
    const der = Buffer.from(crl.replaceAll(/-----[A-Z0-9 ]+-----/g, ''), 'base64');
    for (let offset = 0; offset < der.length; offset += 1) {
      const changed = Buffer.from(der);
      changed[offset] = (changed[offset] ?? 0) ^ 0x01;
      const text = `-----BEGIN X509 CRL-----\n${changed.toString('base64')}\n-----END X509 CRL-----\n`;
      expect(refusal(text, pem).code, String(offset)).toBe('bad-configuration');
    }
  });

  test('of another authority, also one of the same name', async ({ directory }) => {
    const { crl } = await setting(directory);
    const same = await newAuthority(join(directory, 'same'));
    const other = await newAuthority(join(directory, 'other'), { name: 'Other' });
    expect(refusal(crl, same.pem).message).toContain('signature');
    expect(refusal(crl, other.pem).message).toContain('No certificate authority here');
    expect(refusal(crl, '').code).toBe('bad-configuration');
  });
});

describe('of openssl', () => {
  const CONFIG = `[ca]
default_ca=own
[own]
database=index.txt
certificate=ca.pem
private_key=ca.key
crlnumber=crlnumber
default_md=sha384
default_crl_days=10
policy=any
serial=serial
new_certs_dir=.
[any]
commonName=supplied
[scope]
issuingDistributionPoint=critical,@point
[point]
fullname=URI:http://a.example/crl
onlyuser=TRUE
[indirect]
issuingDistributionPoint=critical,@all
[all]
fullname=URI:http://a.example/crl
indirectCRL=TRUE
[delta]
2.5.29.27=critical,ASN1:INTEGER:1
`;
  /** A CA that openssl runs, with one certificate that it revoked. */
  const opensslCa = (directory: string, algorithm: readonly string[]) => {
    const run = (...args: string[]) =>
      execFileSync('openssl', args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' });
    const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
    write('conf', CONFIG);
    write('index.txt', '');
    write('serial', '8001');
    write('crlnumber', '01');
    const key = ['-newkey', ...algorithm, '-nodes', '-batch'];
    run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/O=Ünï/CN=Its CA', '-utf8');
    run('req', '-new', ...key, '-keyout', 'a.key', '-out', 'a.csr', '-subj', '/CN=a');
    run('ca', '-config', 'conf', '-batch', '-days', '5', '-in', 'a.csr', '-out', 'a.pem', '-notext');
    run('ca', '-config', 'conf', '-revoke', 'a.pem', '-crl_reason', 'keyCompromise');
    const crl = (...more: string[]) => {
      run('ca', '-config', 'conf', '-gencrl', '-out', 'f.crl', ...more);
      return textOf(join(directory, 'f.crl'));
    };
    return {
      crl,
      ca: textOf(join(directory, 'ca.pem')),
      revoked: new X509Certificate(textOf(join(directory, 'a.pem'))),
    };
  };

  test.for([[['rsa:2048']], [['ec', '-pkeyopt', 'ec_paramgen_curve:P-384']], [['ed25519']]])(
    'one that is signed by %j is understood',
    async ([algorithm = []], { directory, skip }) => {
      skip(!hasOpenssl, 'openssl is not installed');
      const { crl, ca, revoked } = opensslCa(directory, algorithm);
      for (const options of [[], ['-crlexts', 'scope']])
        expect(parseRevocationLists(crl(...options), ca, 'f.crl').isRevoked(revoked)).toBe(true);
    },
  );

  test.for(['indirect', 'delta'])('one that is %s is refused', async (kind, { directory, skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    const { crl, ca } = opensslCa(directory, ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']);
    const { code, message } = thrownBy(() => parseRevocationLists(crl('-crlexts', kind), ca, 'f.crl'));
    expect(code).toBe('bad-configuration');
    expect(message).toContain('changes to another list, or speaks for other issuers');
  });
});
