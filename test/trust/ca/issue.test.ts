import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { Authority } from '../../../src/trust/ca/authority.ts';
import { issueCertificate } from '../../../src/trust/ca/issue.ts';
import { revoke } from '../../../src/trust/ca/revoke.ts';
import { certificateNames } from '../../../src/trust/certificate-names.ts';
import { certificatePin } from '../../../src/trust/pins.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { hasOpenssl } from '../openssl.ts';
import { test as base } from '../scratch.ts';
import { crashingAt, DAY_MS, newAuthority, openssl, textOf, verdict } from './setting.ts';

const DAYS = 397;
const test = base.extend<{ authority: Authority }>({
  authority: async ({ directory }, use) => use(await newAuthority(directory)),
});

describe('a certificate for a server', () => {
  test('is for its names and nothing else, with a key of its own', async ({ authority, directory }) => {
    const server = ['Box.Example', '*.b.example', '127.0.0.1', '::1', '::ffff:1.2.3.4', 'bücher.example'];
    const { files, certificate } = await issueCertificate(authority, { server }, DAYS);
    expect(files.certificate).toBe(join(directory, 'box.example.pem'));
    const [leaf = '', ca] = textOf(files.certificate).split(/(?<=-----END CERTIFICATE-----\n)/);
    expect(new X509Certificate(leaf).fingerprint256).toBe(certificate.fingerprint256);
    expect(ca).toBe(authority.pem);
    expect(certificate.checkPrivateKey(createPrivateKey(textOf(files.key)))).toBe(true);
    for (const file of [files.certificate, files.key]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    for (const host of ['box.example', 'x.b.example', 'xn--bcher-kva.example'])
      expect(certificate.checkHost(host), host).toBeDefined();
    for (const ip of ['127.0.0.1', '::1', '::ffff:102:304'])
      expect(certificate.checkIP(ip), ip).toBeDefined();
    expect(certificate.checkHost('b.example')).toBeUndefined();
    expect(certificate.subject).toBe('CN=box.example');
  });

  test('is valid from an hour ago for as long as asked, but not longer than the CA', async ({
    directory,
  }) => {
    const clock = new FakeClock();
    const authority = await newAuthority(directory, { clock, days: 100 });
    const short = await issueCertificate(authority, { server: ['a'] }, 10);
    expect(short.certificate.validFromDate.getTime()).toBe(clock.now() - 3_600_000);
    expect(short.certificate.validToDate.getTime()).toBe(clock.now() - 3_600_000 + 10 * DAY_MS);
    const long = await issueCertificate(authority, { server: ['b'] }, 101);
    expect(long.certificate.validTo).toBe(authority.certificate.validTo);
    clock.jump(100 * DAY_MS);
    await expect(issueCertificate(authority, { server: ['c'] }, 10)).rejects.toMatchObject({
      code: 'bad-configuration',
      hint: expect.stringContaining('cert renew ca'),
    });
  });

  test.for([
    ['*.b.example', '_.b.example'],
    ['::1', '__1'],
    ['127.0.0.1', '127.0.0.1'],
    [`${'a'.repeat(63)}.${'b'.repeat(63)}.example`, `${'a'.repeat(63)}.${'b'.repeat(63)}.example`],
  ])('for %s is kept as %s', async ([name = '', file], { authority, directory }) => {
    const { files, certificate } = await issueCertificate(authority, { server: [name] }, DAYS);
    expect(files.certificate).toBe(join(directory, `${file}.pem`));
    expect(certificate.subject).toBe(`CN=${name.length > 64 ? 'sealift' : name}`);
  });

  test.for([
    [],
    [''],
    ['a.example', 'b, O=evil'],
    ['a"b'],
    ['CN=a'],
    ['a/b'],
    ['../a'],
    ['a\nb'],
    ['-a'],
    ['256.1.1.1'],
    ['::g'],
    [`${'a'.repeat(64)}.example`],
    ['ca'],
    ['CA'],
    [`${'a.'.repeat(125)}abc`],
  ])('is not issued for %j', async (server, { authority, directory }) => {
    await expect(issueCertificate(authority, { server }, DAYS)).rejects.toMatchObject({
      code: 'invalid-argument',
    });
    expect((await readdir(directory)).sort()).toEqual(['ca.crl', 'ca.key', 'ca.pem']);
  });
});

describe('a certificate for a client', () => {
  test.for([
    ['backup', ['backup'], 'DNS:backup'],
    ['Alice', ['Alice', 'alice'], 'DNS:alice'],
    ['bob@b.example', ['bob@b.example'], 'email:bob@b.example'],
    ['a@b@c', ['a@b@c'], undefined],
    ['10.0.0.5', ['10.0.0.5'], undefined],
    ['x'.repeat(64), ['x'.repeat(64)], undefined],
  ] as const)('%s says who it is', async ([client, names, alternatives], { authority }) => {
    const { certificate } = await issueCertificate(authority, { client }, DAYS);
    expect(certificateNames(certificate)).toEqual(names);
    expect(certificate.subjectAltName).toBe(alternatives);
  });

  test.for(['', 'x'.repeat(65), 'a b', 'a,b', 'CN=a', 'a/b', '.a', 'ü', 'a\n', 'ca'])(
    'is not issued for %j',
    async (client, { authority }) => {
      await expect(issueCertificate(authority, { client }, DAYS)).rejects.toMatchObject({
        code: 'invalid-argument',
      });
    },
  );
});

describe('openssl, as strictly as it can', () => {
  test.for([
    ['a server', { server: ['*.b.example', '127.0.0.1', '::1'] }, 'sslserver', 'sslclient'],
    ['a server with a long name', { server: [`${'a'.repeat(60)}.example`] }, 'sslserver', 'sslclient'],
    ['a client', { client: 'bob@b.example' }, 'sslclient', 'sslserver'],
    ['a client without alternative names', { client: 'a@b@c' }, 'sslclient', 'sslserver'],
  ] as const)(
    'takes one for %s as that and no other',
    async ([, holder, right, wrong], { authority, directory, skip }) => {
      skip(!hasOpenssl, 'openssl is not installed');
      const { files } = await issueCertificate(authority, holder, DAYS);
      const ca = join(directory, 'ca.pem');
      expect(verdict(files.certificate, ca, '-purpose', right)).toMatch(/: OK$/m);
      expect(verdict(files.certificate, ca, '-purpose', wrong)).toContain('unsuitable certificate purpose');
      const text = openssl('x509', '-in', files.certificate, '-noout', '-text');
      expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
      expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
      expect(text).toContain('Authority Key Identifier');
      expect(openssl('pkey', '-in', files.key, '-noout', '-check')).toContain('Key is valid');
    },
  );

  test('believes no other authority of the same name', async ({ authority, directory, skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    const { files } = await issueCertificate(authority, { server: ['a'] }, DAYS);
    await newAuthority(join(directory, 'other'));
    expect(verdict(files.certificate, join(directory, 'other/ca.pem'))).toContain('verification failed');
  });
});

describe('what stands there already', () => {
  test('is not replaced', async ({ authority }) => {
    const { files } = await issueCertificate(authority, { server: ['a'] }, DAYS);
    const before = textOf(files.certificate) + textOf(files.key);
    for (const holder of [{ server: ['a'] }, { client: 'a' }]) {
      await expect(issueCertificate(authority, holder, DAYS)).rejects.toMatchObject({
        code: 'local-exists',
        hint: expect.stringContaining('cert renew a'),
      });
    }
    expect(textOf(files.certificate) + textOf(files.key)).toBe(before);
  });

  test('many at once each get their own, and of those for one name one', async ({ authority, directory }) => {
    const names = ['a', 'b', 'c', 'd', 'd', 'd'];
    const results = await Promise.allSettled(
      names.map((client) => issueCertificate(authority, { client }, DAYS)),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
    for (const name of ['a', 'b', 'c', 'd']) {
      const certificate = new X509Certificate(textOf(join(directory, `${name}.pem`)));
      const key = createPrivateKey(textOf(join(directory, `${name}.key`)));
      expect(certificate.checkPrivateKey(key)).toBe(true);
      expect(await readdir(join(directory, 'issued', name))).toEqual([`${certificate.serialNumber}.pem`]);
    }
  });

  test.for([1, 2, 3])(
    'after a crash before file %i of 3 it can be issued again',
    async (file, { authority }) => {
      const crashing = { ...authority, random: crashingAt(file) };
      await expect(issueCertificate(crashing, { client: 'a' }, DAYS)).rejects.toThrow();
      const { certificate, files } = await issueCertificate(authority, { client: 'a' }, DAYS);
      expect(certificate.checkPrivateKey(createPrivateKey(textOf(files.key)))).toBe(true);
    },
  );

  test('a key alone is certified, if it is one to be certified', async ({ authority, directory }) => {
    const file = join(directory, 'a.key');
    const other = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(file, other, { mode: 0o600 });
    await expect(issueCertificate(authority, { client: 'a' }, DAYS)).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining('P-256'),
    });
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const text = privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(file, text, { mode: 0o600 });
    const { certificate } = await issueCertificate(authority, { client: 'a' }, DAYS);
    expect(certificate.checkPrivateKey(privateKey)).toBe(true);
    expect(textOf(file)).toBe(text);
  });

  test('a key whose certificate was revoked is not certified again', async ({ authority }) => {
    const { files, certificate } = await issueCertificate(authority, { client: 'a' }, DAYS);
    await revoke(authority, 'a', 90);
    await rm(files.certificate);
    await expect(issueCertificate(authority, { client: 'a' }, DAYS)).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining('revoked'),
    });
    await rm(files.key);
    const again = await issueCertificate(authority, { client: 'a' }, DAYS);
    expect(certificatePin(again.certificate)).not.toBe(certificatePin(certificate));
  });
});
