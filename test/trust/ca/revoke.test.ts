import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { copyFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { Authority } from '../../../src/trust/ca/authority.ts';
import { renewCrl } from '../../../src/trust/ca/authority-crl.ts';
import { issueCertificate } from '../../../src/trust/ca/issue.ts';
import { leafFiles } from '../../../src/trust/ca/leaf-files.ts';
import { renewCertificate } from '../../../src/trust/ca/renew.ts';
import { revoke } from '../../../src/trust/ca/revoke.ts';
import { parseCrls } from '../../../src/trust/crl.ts';
import { parseRevocationLists } from '../../../src/trust/revocation-list.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { hasOpenssl } from '../openssl.ts';
import { test as base } from '../scratch.ts';
import { DAY_MS, newAuthority, openssl, textOf, verdict } from './setting.ts';

const test = base.extend<{ clock: FakeClock; authority: Authority }>({
  // eslint-disable-next-line no-empty-pattern -- how vitest wants to be told that nothing else is needed
  clock: async ({}, use) => use(new FakeClock()),
  authority: async ({ directory, clock }, use) => use(await newAuthority(directory, { clock })),
});

const crlOf = ({ directory }: Authority) => {
  const [crl] = parseCrls(textOf(join(directory, 'ca.crl')), 'ca.crl');
  if (crl) return crl;
  throw new Error('there is none');
};
const isRevoked = (authority: Authority, certificate: X509Certificate) =>
  parseRevocationLists(textOf(join(authority.directory, 'ca.crl')), authority.pem, 'ca.crl').isRevoked(
    certificate,
  );
const issue = async (authority: Authority, client: string, days = 397) =>
  (await issueCertificate(authority, { client }, days)).certificate;
const renew = async (authority: Authority, client: string, withNewKey = false) =>
  (await renewCertificate(authority, leafFiles(authority.directory, client), { days: 397, withNewKey }))
    .certificate;

describe('revoking', () => {
  test('a name reaches every certificate that was issued for it, and no other', async ({ authority }) => {
    const [first, other] = [await issue(authority, 'a'), await issue(authority, 'b')];
    const renewed = await renew(authority, 'a');
    const rekeyed = await renew(authority, 'a', true);
    const { serials, added } = await revoke(authority, 'a', 90);
    const expected = [first, renewed, rekeyed].map(({ serialNumber }) => serialNumber).sort();
    expect(serials.toSorted()).toEqual(expected);
    expect(added.toSorted()).toEqual(expected);
    for (const certificate of [first, renewed, rekeyed]) expect(isRevoked(authority, certificate)).toBe(true);
    expect(isRevoked(authority, other)).toBe(false);
  });

  test('a file reaches the certificate in it, and all others for its key', async ({
    authority,
    directory,
  }) => {
    const first = await issue(authority, 'a');
    const renewed = await renew(authority, 'a');
    const copy = join(directory, 'copy.txt');
    await copyFile(join(directory, 'a.pem'), copy);
    const rekeyed = await renew(authority, 'a', true);
    const { serials } = await revoke(authority, copy, 90);
    expect(serials.toSorted()).toEqual([first, renewed].map(({ serialNumber }) => serialNumber).sort());
    expect(isRevoked(authority, rekeyed)).toBe(false);
  });

  test('a serial number reaches that one, also with colons and in small letters, and if nobody knows it', async ({
    authority,
  }) => {
    const { serialNumber } = await issue(authority, 'a');
    await renew(authority, 'a');
    const written = serialNumber.toLowerCase().replaceAll(/..(?=.)/g, '$&:');
    expect(await revoke(authority, written, 90)).toEqual({ serials: [serialNumber], added: [serialNumber] });
    const unknown = `00FF${'0'.repeat(28)}`;
    expect((await revoke(authority, unknown, 90)).serials).toEqual([`FF${'0'.repeat(28)}`]);
    expect(crlOf(authority).revoked.map(({ serial }) => serial)).toContain(`FF${'0'.repeat(28)}`);
  });

  test('leaves out what has expired', async ({ authority, clock }) => {
    await issue(authority, 'a', 10);
    const renewed = await renew(authority, 'a');
    clock.jump(11 * DAY_MS);
    expect((await revoke(authority, 'a', 90)).serials).toEqual([renewed.serialNumber]);
    clock.jump(400 * DAY_MS);
    expect(await revoke(authority, 'a', 90)).toEqual({ serials: [], added: [] });
  });

  test('works without the files of the certificate', async ({ authority, directory }) => {
    const { serialNumber } = await issue(authority, 'a');
    for (const name of ['a.pem', 'a.key']) await rm(join(directory, name));
    expect((await revoke(authority, 'a', 90)).added).toEqual([serialNumber]);
  });

  test('what is nothing of these is told, and changes nothing', async ({ authority, directory }) => {
    const before = textOf(join(directory, 'ca.crl'));
    for (const text of ['nobody', 'cafe', '', 'zz'.repeat(16), 'a'.repeat(41), '../no-such.pem']) {
      await expect(revoke(authority, text, 90), text).rejects.toMatchObject({ code: 'local-not-found' });
    }
    await newAuthority(join(directory, 'other'));
    for (const file of ['ca.pem', 'other/ca.pem', 'ca.key']) {
      await expect(revoke(authority, join(directory, file), 90), file).rejects.toMatchObject({
        code: 'bad-configuration',
      });
    }
    expect(textOf(join(directory, 'ca.crl'))).toBe(before);
  });

  test('a name while it is renewed leaves none of its certificates valid', async ({
    authority,
    directory,
  }) => {
    await issue(authority, 'a');
    await Promise.allSettled([renew(authority, 'a'), revoke(authority, 'a', 90), renew(authority, 'a')]);
    expect(isRevoked(authority, new X509Certificate(textOf(join(directory, 'a.pem'))))).toBe(true);
  });
});

describe('the list', () => {
  test('keeps what was revoked, and when, and counts up', async ({ authority, clock }) => {
    const certificates = [await issue(authority, 'a'), await issue(authority, 'b')];
    const startMs = clock.now();
    await revoke(authority, 'a', 90);
    clock.jump(DAY_MS);
    await revoke(authority, 'b', 5);
    expect(await revoke(authority, 'a', 5)).toMatchObject({ added: [] });
    const { number, revoked, thisUpdateMs, nextUpdateMs } = crlOf(authority);
    expect({ number, thisUpdateMs, nextUpdateMs }).toEqual({
      number: 4n,
      thisUpdateMs: startMs + DAY_MS,
      nextUpdateMs: startMs + 6 * DAY_MS,
    });
    expect(revoked).toEqual([
      { serial: certificates[0]?.serialNumber, revokedMs: startMs },
      { serial: certificates[1]?.serialNumber, revokedMs: startMs + DAY_MS },
    ]);
    await renewCrl(authority, 90);
    expect(crlOf(authority)).toMatchObject({ number: 5n, revoked, nextUpdateMs: startMs + 91 * DAY_MS });
  });

  test('that is missing, damaged or another one is not taken for an empty one', async ({
    authority,
    directory,
  }) => {
    const file = join(directory, 'ca.crl');
    const other = await newAuthority(join(directory, 'other'));
    await issue(authority, 'a');
    for (const text of [undefined, '', 'x', textOf(join(other.directory, 'ca.crl'))]) {
      if (text === undefined) await rm(file);
      else await writeFile(file, text);
      await expect(revoke(authority, 'a', 90)).rejects.toMatchObject({
        code: 'bad-configuration',
        message: expect.stringContaining(file),
      });
    }
  });

  test('of many who revoke at once holds all', async ({ authority }) => {
    const names = ['a', 'b', 'c', 'd'];
    const certificates = await Promise.all(names.map((name) => issue(authority, name)));
    await Promise.all(names.map((name) => revoke(authority, name, 90)));
    for (const certificate of certificates) expect(isRevoked(authority, certificate)).toBe(true);
  });

  test('is understood by openssl', async ({ directory, skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    const authority = await newAuthority(directory);
    await issue(authority, 'a');
    await issue(authority, 'b');
    await revoke(authority, 'a', 90);
    const [ca, crl] = [join(directory, 'ca.pem'), join(directory, 'ca.crl')];
    const text = openssl('crl', '-in', crl, '-noout', '-text');
    // It exits with 0 either way.
    const signature = (authorityFile: string) =>
      spawnSync('openssl', ['crl', '-in', crl, '-CAfile', authorityFile, '-noout', '-verify'], {
        encoding: 'utf8',
      }).stderr;
    expect(signature(ca)).toContain('verify OK');
    expect(text).toMatch(/CRL Number:\s+2\n/);
    expect(text).toContain('Authority Key Identifier');
    expect(text).not.toContain('CRL entry extensions');
    const check = (name: string) => verdict(join(directory, name), ca, '-crl_check', '-CRLfile', crl);
    expect(check('a.pem')).toContain('certificate revoked');
    expect(check('b.pem')).toMatch(/: OK$/m);
    const other = await newAuthority(join(directory, 'other'));
    expect(signature(join(other.directory, 'ca.pem'))).toContain('verify failure');
  });
});
