import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { Authority } from '../../../src/trust/ca/authority.ts';
import { issueCertificate, type Holder } from '../../../src/trust/ca/issue.ts';
import { findLeaf, leafFiles } from '../../../src/trust/ca/leaf-files.ts';
import { dueNames, isDue, renewCertificate } from '../../../src/trust/ca/renew.ts';
import { revoke } from '../../../src/trust/ca/revoke.ts';
import { certificatePin } from '../../../src/trust/pins.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { hasOpenssl } from '../openssl.ts';
import { test as base } from '../scratch.ts';
import { crashingAt, DAY_MS, newAuthority, textOf, verdict } from './setting.ts';

const SAME_KEY = { days: 397, withNewKey: false };
const NEW_KEY = { days: 397, withNewKey: true };
const SERVER = { server: ['*.b.example', 'a.example', '127.0.0.1', '::1'] };

const test = base.extend<{ clock: FakeClock; authority: Authority }>({
  // eslint-disable-next-line no-empty-pattern -- how vitest wants to be told that nothing else is needed
  clock: async ({}, use) => use(new FakeClock()),
  authority: async ({ directory, clock }, use) => use(await newAuthority(directory, { clock })),
});

const standing = (file: string) => new X509Certificate(textOf(file));
const keyOf = (file: string) => createPrivateKey(textOf(file));

describe('a renewed certificate', () => {
  test.for<[string, Holder]>([
    ['a server', SERVER],
    ['a client', { client: 'Bob@b.example' }],
  ])('of %s has the same key, names and usage, and new dates', async ([, holder], { authority, clock }) => {
    const { files, certificate: before } = await issueCertificate(authority, holder, 397);
    const key = textOf(files.key);
    clock.jump(100 * DAY_MS);
    const { certificate } = await renewCertificate(authority, files, { days: 50, withNewKey: false });
    expect(standing(files.certificate).fingerprint256).toBe(certificate.fingerprint256);
    expect(textOf(files.key)).toBe(key);
    expect(certificatePin(certificate)).toBe(certificatePin(before));
    for (const field of ['subject', 'issuer', 'subjectAltName', 'ca', 'keyUsage'] as const)
      expect(certificate[field]).toEqual(before[field]);
    expect(certificate.serialNumber).not.toBe(before.serialNumber);
    expect(certificate.validToDate.getTime()).toBe(clock.now() - 3_600_000 + 50 * DAY_MS);
    expect(await readdir(files.issued)).toHaveLength(2);
  });

  test('has another key, if one is wanted', async ({ authority }) => {
    const { files, certificate: before } = await issueCertificate(authority, SERVER, 397);
    const { certificate } = await renewCertificate(authority, files, NEW_KEY);
    expect(certificatePin(certificate)).not.toBe(certificatePin(before));
    expect(certificate.checkPrivateKey(keyOf(files.key))).toBe(true);
  });

  test('needs no key here: it may have been taken to the server', async ({ authority }) => {
    const { files, certificate: before } = await issueCertificate(authority, SERVER, 397);
    await rm(files.key);
    const { certificate } = await renewCertificate(authority, files, SAME_KEY);
    expect(certificatePin(certificate)).toBe(certificatePin(before));
    expect(await dueNames(authority)).toEqual([]);
  });

  test('does not outlive the CA', async ({ directory, clock }) => {
    const authority = await newAuthority(directory, { clock, days: 20 });
    const { files } = await issueCertificate(authority, SERVER, 10);
    const { certificate } = await renewCertificate(authority, files, SAME_KEY);
    expect(certificate.validTo).toBe(authority.certificate.validTo);
  });

  test('is sound by openssl, with the same key and with another', async ({ directory, skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    const authority = await newAuthority(directory);
    const { files } = await issueCertificate(authority, SERVER, 397);
    for (const how of [SAME_KEY, NEW_KEY]) {
      await renewCertificate(authority, files, how);
      const options = ['-purpose', 'sslserver', '-verify_ip', '::1'];
      expect(verdict(files.certificate, join(directory, 'ca.pem'), ...options)).toMatch(/: OK$/m);
    }
  });

  test('is not made of nothing, of a certificate of another CA, or with a key open to others', async ({
    authority,
    directory,
  }) => {
    const missing = leafFiles(directory, 'missing');
    await expect(renewCertificate(authority, missing, SAME_KEY)).rejects.toMatchObject({
      code: 'local-not-found',
    });
    const other = await newAuthority(join(directory, 'other'));
    const { files } = await issueCertificate(other, { client: 'a' }, 10);
    await expect(renewCertificate(authority, files, SAME_KEY)).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining('is no certificate that the CA in'),
    });
    await chmod(files.key, 0o644);
    await expect(renewCertificate(other, files, SAME_KEY)).rejects.toMatchObject({
      code: 'bad-configuration',
      hint: expect.stringContaining('chmod 600'),
    });
  });
});

describe('a certificate is due', () => {
  test('30 days before its end, and after it', async ({ authority, clock }) => {
    const { certificate } = await issueCertificate(authority, { client: 'a' }, 100);
    await issueCertificate(authority, { client: 'long' }, 397);
    clock.jump(70 * DAY_MS - 3_600_000 - 1_000);
    expect(isDue(certificate, authority)).toBe(false);
    expect(await dueNames(authority)).toEqual([]);
    clock.jump(1_000);
    expect(isDue(certificate, authority)).toBe(true);
    expect(await dueNames(authority)).toEqual(['a']);
    clock.jump(100 * DAY_MS);
    expect(await dueNames(authority)).toEqual(['a']);
  });

  test('not, if it was revoked or taken away', async ({ authority }) => {
    await issueCertificate(authority, { client: 'revoked' }, 10);
    const { files } = await issueCertificate(authority, { client: 'gone' }, 10);
    await issueCertificate(authority, { client: 'due' }, 10);
    await revoke(authority, 'revoked', 90);
    await rm(files.certificate);
    expect(await dueNames(authority)).toEqual(['due']);
  });

  test('if it is damaged, so that this is told', async ({ authority }) => {
    const { files } = await issueCertificate(authority, { client: 'a' }, 397);
    await writeFile(files.certificate, '');
    expect(await dueNames(authority)).toEqual(['a']);
    await expect(renewCertificate(authority, files, SAME_KEY)).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining('a.pem'),
    });
  });
});

test.for([1, 2, 3])(
  'a crash before file %i of 3 of a new key is mended by renewing again',
  async (file, { authority }) => {
    const { files } = await issueCertificate(authority, SERVER, 397);
    const crashing = { ...authority, random: crashingAt(file) };
    await expect(renewCertificate(crashing, files, NEW_KEY)).rejects.toThrow();
    const isPair = () => standing(files.certificate).checkPrivateKey(keyOf(files.key));
    expect(isPair()).toBe(file < 3);
    expect(await dueNames(authority)).toEqual(file < 3 ? [] : ['_.b.example']);
    await renewCertificate(authority, files, SAME_KEY);
    expect(isPair()).toBe(true);
  },
);

test('a revoked certificate is renewed with a new key only', async ({ authority }) => {
  const { files } = await issueCertificate(authority, { client: 'a' }, 397);
  await revoke(authority, 'a', 90);
  await expect(renewCertificate(authority, files, SAME_KEY)).rejects.toMatchObject({
    code: 'bad-configuration',
    hint: expect.stringContaining('--new-key'),
  });
  await renewCertificate(authority, files, NEW_KEY);
  await renewCertificate(authority, files, SAME_KEY);
});

test('a certificate is found by its name however it is written', async ({ authority, directory }) => {
  await issueCertificate(authority, { server: ['*.B.example'] }, 10);
  await issueCertificate(authority, { server: ['::1'] }, 10);
  await issueCertificate(authority, { client: 'Bob' }, 10);
  for (const [text, name] of [
    ['*.b.example', '_.b.example'],
    ['*.B.Example', '_.b.example'],
    ['_.b.example', '_.b.example'],
    ['::0001', '__1'],
    ['Bob', 'Bob'],
  ] as const)
    expect((await findLeaf(directory, text))?.name, text).toBe(name);
  for (const text of ['ca', '..', '../bob', 'other', '', '-x'])
    expect(await findLeaf(directory, text), text).toBe(undefined);
});
