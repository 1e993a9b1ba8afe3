import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, copyFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { systemRandom } from '../../../src/random.ts';
import { openAuthority, renewAuthority } from '../../../src/trust/ca/authority.ts';
import { issueCertificate } from '../../../src/trust/ca/issue.ts';
import { certificatePin } from '../../../src/trust/pins.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { hasOpenssl } from '../openssl.ts';
import { test } from '../scratch.ts';
import { crashingAt, DAY_MS, newAuthority, openssl, textOf, verdict } from './setting.ts';

const open = (directory: string, passphrase?: string) =>
  openAuthority(directory, {
    passphrase: async () => passphrase,
    clock: new FakeClock(),
    random: systemRandom,
  });

describe('a new authority', () => {
  test('is a certificate, a key and an empty list, all private', async ({ directory }) => {
    const home = join(directory, 'new', 'ca');
    const clock = new FakeClock();
    const { certificate } = await newAuthority(home, { clock, days: 10 });
    expect((await readdir(home)).sort()).toEqual(['ca.crl', 'ca.key', 'ca.pem']);
    for (const name of await readdir(home)) expect((await stat(join(home, name))).mode & 0o777).toBe(0o600);
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    expect(certificate).toMatchObject({ subject: 'CN=Test CA', issuer: 'CN=Test CA', ca: true });
    expect(certificate.validFromDate.getTime()).toBe(clock.now() - 3_600_000);
    expect(certificate.validToDate.getTime() - certificate.validFromDate.getTime()).toBe(10 * DAY_MS);
    expect(certificate.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
    // Without a passphrase, as none was given.
    expect(createPrivateKey(textOf(join(home, 'ca.key'))).type).toBe('private');
  });

  test('is sound by openssl: usage, identifiers, key and list', async ({ directory, skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    await newAuthority(directory);
    const file = join(directory, 'ca.pem');
    expect(verdict(file, file)).toMatch(/: OK$/m);
    const text = openssl('x509', '-in', file, '-noout', '-text');
    expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(text).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign/);
    expect(text).toContain('Subject Key Identifier');
    expect(text).toContain('ecdsa-with-SHA256');
    expect(openssl('pkey', '-in', join(directory, 'ca.key'), '-noout', '-check')).toContain('Key is valid');
    const crl = openssl('crl', '-in', join(directory, 'ca.crl'), '-noout', '-text');
    expect(crl).toContain('Version 2');
    expect(crl).toContain('No Revoked Certificates');
  });

  test.for(['O=x, CN="evil"/CN=y', 'Größe 東京', 'a+b;c<d>#e'])(
    'can be called %s',
    async (name, { directory }) => {
      const { certificate } = await newAuthority(directory, { name });
      expect(certificate.toLegacyObject().subject).toEqual({ CN: name });
    },
  );

  test.for(['', ' x', 'a\nb', '\u0000', 'x'.repeat(65)])(
    'cannot be called %j',
    async (name, { directory }) => {
      await expect(newAuthority(directory, { name })).rejects.toMatchObject({ code: 'invalid-argument' });
      expect(await readdir(directory)).toEqual([]);
    },
  );

  test.for([{ days: 0 }, { days: 36_501 }, { crlDays: 0 }, { crlDays: 1e9 }])(
    'is not made for %j',
    async (content, { directory }) => {
      await expect(newAuthority(directory, content)).rejects.toMatchObject({ code: 'invalid-argument' });
      expect(await readdir(directory)).toEqual([]);
    },
  );

  test('is valid beyond 2049, where dates are written otherwise', async ({ directory }) => {
    const { certificate } = await newAuthority(directory, { days: 36_500, clock: new FakeClock() });
    expect(certificate.validToDate.getUTCFullYear()).toBe(2129);
  });

  test('does not replace another, and is one when two are made at once', async ({ directory }) => {
    const results = await Promise.allSettled([newAuthority(directory), newAuthority(directory)]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const before = textOf(join(directory, 'ca.pem'));
    await expect(newAuthority(directory)).rejects.toMatchObject({ code: 'local-exists' });
    await rm(join(directory, 'ca.pem'));
    await expect(newAuthority(directory)).rejects.toMatchObject({
      code: 'local-exists',
      message: expect.stringContaining('ca.key'),
    });
    await writeFile(join(directory, 'ca.pem'), before);
    expect((await open(directory)).pem).toBe(before);
  });

  test.for([1, 2, 3])('is none, when a crash comes before file %i of 3', async (file, { directory }) => {
    await expect(newAuthority(directory, { random: crashingAt(file) })).rejects.toThrow();
    await expect(open(directory)).rejects.toMatchObject({ code: 'local-not-found' });
  });
});

describe('the key of an authority', () => {
  test('is of no use without its passphrase, which is asked only then', async ({ directory }) => {
    await newAuthority(directory, { passphrase: 'correct horse' });
    expect(textOf(join(directory, 'ca.key'))).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    await expect(open(directory)).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining('is encrypted, and there is no passphrase'),
      hint: expect.stringContaining('--passphrase-file'),
    });
    const refused = await open(directory, 'battery staple').catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'bad-configuration', message: expect.stringContaining('wrong') });
    expect(String((refused as Error).message)).not.toContain('battery');
    await expect(open(directory, 'correct horse')).resolves.toMatchObject({ directory });

    const plain = join(directory, 'plain');
    await newAuthority(plain);
    await openAuthority(plain, {
      passphrase: () => Promise.reject(new Error('asked')),
      clock: new FakeClock(),
      random: systemRandom,
    });
  });

  test('is refused where others can read it', async ({ directory }) => {
    await newAuthority(directory);
    await chmod(join(directory, 'ca.key'), 0o640);
    await expect(open(directory)).rejects.toMatchObject({
      code: 'bad-configuration',
      hint: expect.stringContaining('chmod 600'),
    });
  });

  test.for<[string, (directory: string) => Promise<unknown>]>([
    ['missing', (directory) => rm(join(directory, 'ca.key'))],
    ['damaged', (directory) => writeFile(join(directory, 'ca.key'), 'x')],
    ['that of another', (directory) => copyFile(join(directory, 'other/ca.key'), join(directory, 'ca.key'))],
    [
      'of another kind',
      async (directory) => {
        const key = openssl('genpkey', '-algorithm', 'ed25519');
        await writeFile(join(directory, 'ca.key'), key);
      },
    ],
  ])('that is %s is told', async ([, damage], { directory, skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    await newAuthority(directory);
    await newAuthority(join(directory, 'other'));
    await damage(directory);
    await expect(open(directory)).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining('ca.key'),
    });
  });
});

test('a renewed authority keeps its key and name, so that what it issued is still believed', async ({
  directory,
  skip,
}) => {
  const authority = await newAuthority(directory, { days: 20 });
  const { files } = await issueCertificate(authority, { server: ['a.example'] }, 10);
  const renewed = await renewAuthority(authority, 100);
  expect(textOf(join(directory, 'ca.pem'))).toBe(renewed.pem);
  expect(renewed.certificate.subject).toBe(authority.certificate.subject);
  expect(renewed.certificate.serialNumber).not.toBe(authority.certificate.serialNumber);
  expect(certificatePin(renewed.certificate)).toBe(certificatePin(authority.certificate));
  expect(new X509Certificate(textOf(files.certificate)).checkIssued(renewed.certificate)).toBe(true);

  skip(!hasOpenssl, 'openssl is not installed');
  const ca = join(directory, 'ca.pem');
  expect(verdict(ca, ca)).toMatch(/: OK$/m);
  expect(verdict(files.certificate, ca, '-crl_check', '-CRLfile', join(directory, 'ca.crl'))).toMatch(
    /: OK$/m,
  );
});
