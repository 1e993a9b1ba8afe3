import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { certificateFacts } from '../../src/trust/certificate-facts.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { issueCertificate } from '../../src/trust/ca/issue.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { DAY_MS, newAuthority, openssl, textOf } from './ca/setting.ts';
import { hasOpenssl } from './openssl.ts';
import { test } from './scratch.ts';

test('the facts of a certificate', async ({ directory }) => {
  const clock = new FakeClock();
  const authority = await newAuthority(directory, { clock, name: 'My, CA' });
  const { certificate } = await issueCertificate(
    authority,
    { server: ['a.example', '127.0.0.1', '::1'] },
    10,
  );
  const facts = certificateFacts(certificate, clock);
  expect(facts).toEqual({
    subject: 'CN=a.example',
    names: ['a.example', '127.0.0.1', '::1'],
    issuer: 'CN=My\\, CA',
    serial: certificate.serialNumber,
    key: 'EC P-256',
    usage: ['server'],
    notBefore: '2029-12-31T23:00:00.000Z',
    notAfter: '2030-01-10T23:00:00.000Z',
    daysLeft: 9,
    sha256: certificate.fingerprint256,
    pin: certificatePin(certificate),
  });
  clock.jump(10 * DAY_MS);
  expect(certificateFacts(certificate, clock).daysLeft).toBe(-1);
  expect(certificateFacts(authority.certificate, clock)).toMatchObject({ names: [], usage: ['authority'] });
});

test.for([
  ['rsa:2048', 'RSA 2048'],
  ['ed25519', 'Ed25519'],
] as const)(
  'of a certificate that openssl made with a key of %s',
  async ([algorithm, key], { directory, skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    const file = join(directory, 'a.pem');
    const names = 'subjectAltName=DNS:a.example,email:me@a.example,URI:https://a.example/';
    const args = ['-newkey', algorithm, '-nodes', '-keyout', join(directory, 'a.key'), '-addext', names];
    const usage = [
      '-addext',
      'extendedKeyUsage=serverAuth,clientAuth,1.2.3.4',
      '-addext',
      'basicConstraints=CA:FALSE',
    ];
    writeFileSync(file, openssl('req', '-x509', ...args, ...usage, '-subj', '/O=An O/CN=a', '-batch'));
    expect(certificateFacts(new X509Certificate(textOf(file)), new FakeClock())).toMatchObject({
      subject: 'O=An O, CN=a',
      names: ['a.example', 'me@a.example', 'https://a.example/'],
      key,
      usage: ['server', 'client', '1.2.3.4'],
    });
  },
);
