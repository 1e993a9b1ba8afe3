import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { describe, expect } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { systemRandom } from '../../../src/random.ts';
import {
  createClientRequest,
  signClientRequest,
  type ClientCertificateOptions,
} from '../../../src/trust/ca/client-request.ts';
import { certificateNames } from '../../../src/trust/certificate-names.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { hasOpenssl } from '../openssl.ts';
import { test as base } from '../scratch.ts';
import { DAY_MS, newAuthority, openssl, textOf, verdict } from './setting.ts';

interface Ca {
  ca: string;
  key: string;
}
const test = base.extend<{ ca: Ca }>({
  ca: async ({ directory }, use) => {
    const { pem } = await newAuthority(directory);
    await use({ ca: pem, key: textOf(join(directory, 'ca.key')) });
  },
});
const sign = (
  ca: Ca & { passphrase?: string },
  request: string,
  options: Partial<ClientCertificateOptions> = {},
) =>
  signClientRequest(ca, request, {
    name: 'laptop',
    days: 30,
    clock: systemClock,
    random: systemRandom,
    ...options,
  });

describe('a request of a client', () => {
  test('becomes a certificate for its key and the name that is said here', async ({
    ca,
    directory,
    skip,
  }) => {
    const { key, request } = await createClientRequest();
    const clock = new FakeClock();
    const pem = await sign(ca, request, { clock });
    const certificate = new X509Certificate(pem);
    expect(pem.endsWith(ca.ca)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(certificateNames(certificate)).toEqual(['laptop']);
    expect(certificate.validToDate.getTime()).toBe(clock.now() - 3_600_000 + 30 * DAY_MS);

    skip(!hasOpenssl, 'openssl is not installed');
    const file = join(directory, 'laptop.pem');
    await writeFile(file, await sign(ca, request));
    expect(verdict(file, join(directory, 'ca.pem'), '-purpose', 'sslclient')).toMatch(/: OK$/m);
    expect(verdict(file, join(directory, 'ca.pem'), '-purpose', 'sslserver')).toContain('unsuitable');
  });

  test('may come from openssl, and what it says of names means nothing', async ({ ca, directory, skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    const key = join(directory, 'x.key');
    const args = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key];
    const names = [
      '-subj',
      '/CN=admin',
      '-addext',
      'subjectAltName=DNS:admin',
      '-addext',
      'basicConstraints=CA:TRUE',
    ];
    const request = openssl('req', '-new', ...args, ...names);
    const certificate = new X509Certificate(await sign(ca, request));
    expect(certificateNames(certificate)).toEqual(['laptop']);
    expect(certificate.ca).toBe(false);
    expect(certificate.checkPrivateKey(createPrivateKey(textOf(key)))).toBe(true);
  });

  test('does not outlive the CA', async ({ ca }) => {
    const { request } = await createClientRequest();
    const certificate = new X509Certificate(await sign(ca, request, { days: 10_000 }));
    expect(certificate.validTo).toBe(new X509Certificate(ca.ca).validTo);
  });

  test.for<[string, () => Promise<string>]>([
    ['is no request', async () => 'x'],
    ['is empty', async () => ''],
    ['is damaged', async () => (await createClientRequest()).request.replace('\nMI', '\nAI')],
    ['is cut off', async () => (await createClientRequest()).request.slice(0, 200)],
    ['was changed since it was signed', async () => withAnotherKey()],
    ['is too long', async () => `${(await createClientRequest()).request}${'\n'.repeat(20_000)}`],
    [
      'is for a weak key',
      () =>
        requestFor({
          name: 'RSASSA-PKCS1-v1_5',
          hash: 'SHA-256',
          modulusLength: 1024,
          publicExponent: new Uint8Array([1, 0, 1]),
        }),
    ],
    ['is for another curve', () => requestFor({ name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-384' })],
  ])('that %s is refused', async ([, request], { ca }) => {
    await expect(sign(ca, await request())).rejects.toMatchObject({ code: 'bad-request' });
  });

  test.for(['', 'a b', 'a,b', 'x'.repeat(65)])('is not signed for %j', async (name, { ca }) => {
    const { request } = await createClientRequest();
    await expect(sign(ca, request, { name })).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

test('each request has a key of its own', async () => {
  const [one, two] = [await createClientRequest(), await createClientRequest()];
  expect(one.key).not.toBe(two.key);
});

test('a CA whose key is encrypted, or of another, signs only with what belongs to it', async ({
  ca,
  directory,
}) => {
  const { request } = await createClientRequest();
  const home = join(directory, 'other');
  const other = await newAuthority(home, { passphrase: 'secret' });
  const encrypted = { ca: other.pem, key: textOf(join(home, 'ca.key')) };
  await expect(sign(encrypted, request)).rejects.toMatchObject({ code: 'bad-configuration' });
  await expect(sign({ ...encrypted, passphrase: 'other' }, request)).rejects.toMatchObject({
    code: 'bad-configuration',
  });
  await expect(sign({ ...ca, ca: other.pem }, request)).rejects.toMatchObject({ code: 'bad-configuration' });
  const certificate = new X509Certificate(await sign({ ...encrypted, passphrase: 'secret' }, request));
  expect(certificate.checkIssued(other.certificate)).toBe(true);
});

async function requestFor(
  algorithm: { name: string; hash: string } & Record<string, unknown>,
): Promise<string> {
  const keys = (await webcrypto.subtle.generateKey(algorithm as never, true, ['sign', 'verify'])) as never;
  const extensions = [new SubjectAlternativeNameExtension([{ type: 'dns', value: 'admin' }])];
  const request = await Pkcs10CertificateRequestGenerator.create(
    { keys, signingAlgorithm: algorithm, extensions },
    webcrypto,
  );
  return request.toString('pem');
}

/** A request in which the public key of another one stands. */
async function withAnotherKey(): Promise<string> {
  const requests = [await createClientRequest(), await createClientRequest()];
  const [der = Buffer.alloc(0), other = Buffer.alloc(0)] = requests.map(({ request }) =>
    Buffer.from(request.replaceAll(/-----[A-Z ]+-----/g, ''), 'base64'),
  );
  // An uncompressed point of P-256: 4, and 64 bytes.
  const start = Buffer.from('03420004', 'hex');
  const [to, from] = [der.indexOf(start) + start.length, other.indexOf(start) + start.length];
  other.copy(der, to, from, from + 64);
  return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
}
