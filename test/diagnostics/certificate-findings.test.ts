import { createPublicKey, generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';

import { certificateFindings, type CertificateTrust } from '../../src/diagnostics/certificate-findings.ts';
import type { Finding } from '../../src/diagnostics/findings.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { loadX509, publicKeyBytes } from '../../src/trust/signed-certificate.ts';
import { issueAuthority, issueCertificate, type Pair } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';

const DAY_MS = 86_400_000;
let root: Pair;
let middle: Pair;
let leaf: Pair;
let stranger: Pair;
beforeAll(async () => {
  root = await issueAuthority('Root');
  middle = await issueAuthority('Middle', root);
  leaf = await issueCertificate({ ca: middle, names: ['localhost', '*.box.example', '127.0.0.1'] });
  stranger = await issueAuthority('Stranger');
});

function judged(chain: readonly Pair[], trust: Partial<CertificateTrust> = {}): Finding[] {
  const [first, ...others] = chain.map(({ cert }) => new X509Certificate(cert));
  if (first === undefined) throw new Error('there is no certificate');
  return certificateFindings([first, ...others], {
    host: 'localhost',
    roots: [new X509Certificate(root.cert)],
    hasOwnAuthority: true,
    pins: [],
    isSealift: true,
    calledBy: 'HOST',
    clock: clockAt(0),
    ...trust,
  });
}

/** The findings for these certificates as `SEVERITY CODE`, judged now unless told otherwise. */
function found(chain: readonly Pair[], trust: Partial<CertificateTrust> = {}): string[] {
  return judged(chain, trust)
    .filter(({ code }) => code !== 'expires-soon')
    .map(({ severity, code }) => `${severity} ${code}`);
}

function clockAt(days: number): FakeClock {
  return new FakeClock(Date.now() + days * DAY_MS);
}

describe('the chain', () => {
  test('is whole where it leads to an authority that is trusted, which need not be sent', () => {
    expect(found([leaf, middle])).toEqual([]);
    expect(found([leaf, middle, root])).toEqual([]);
  });

  test('may be out of order, which is told', () => {
    expect(found([leaf, root, middle])).toEqual(['warning chain-order']);
    expect(found([leaf, middle, stranger])).toEqual(['warning chain-order']);
  });

  test('that breaks off lacks a link, or its authority is unknown', () => {
    expect(found([leaf])).toEqual(['error missing-intermediate', 'error unknown-ca']);
    expect(found([leaf], { hasOwnAuthority: false })).toEqual(['error unknown-ca']);
  });

  test('that ends at a stranger has an authority that is unknown', () => {
    const roots = [new X509Certificate(stranger.cert)];
    expect(found([leaf, middle, root], { roots })).toEqual(['error unknown-ca']);
  });

  test('of one certificate that vouches for itself', async () => {
    const own = await issueCertificate();
    expect(found([own])).toEqual(['error self-signed']);
    expect(found([own], { roots: [new X509Certificate(own.cert)] })).toEqual([]);
  });
});

test.each([
  ['localhost', []],
  ['a.box.example', []],
  ['127.0.0.1', []],
  ['box.example', ['error wrong-name']],
  ['a.b.box.example', ['error wrong-name']],
  ['127.0.0.2', ['error wrong-name']],
  ['::1', ['error wrong-name']],
  ['', []],
])('asked for as %j', (host, findings) => {
  expect(found([leaf, middle], { host })).toEqual(findings);
});

test('a name that only old clients would find is told of', async () => {
  const named = await issueCertificate({ ca: root, commonName: 'box.example', names: [] });
  expect(found([named], { host: 'box.example' })).toEqual(['warning old-name']);
  const partial = await issueCertificate({ ca: root, names: ['f*.box.example'] });
  expect(found([partial], { host: 'files.box.example' })).toEqual(['warning old-name']);
  expect(found([leaf, middle], { host: 'files.box.example' })).toEqual([]);
});

test('every certificate has to be valid today, and the one that is not is named', async () => {
  const clock = clockAt(1);
  expect(found([leaf, middle], { clock })).toEqual(['error expired', 'error expired']);
  expect(found([leaf, middle], { clock: clockAt(-1) })).toEqual([
    'error not-yet-valid',
    'error not-yet-valid',
  ]);
  const long = await issueCertificate({ ca: middle, notAfter: new Date(Date.now() + 90 * DAY_MS) });
  const [first] = judged([long, middle], { clock });
  expect(first).toMatchObject({ code: 'expired', message: expect.stringContaining('authority (CN=Middle)') });
});

test('only those that link the server to who is trusted have to be in order; of others it is told', async () => {
  const ended = { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
  const [formerMiddle, formerRoot, former] = await Promise.all([
    issueAuthority('Middle', root, { ...ended, key: middle.key }),
    issueAuthority('Root', undefined, { ...ended, key: root.key }),
    issueCertificate(ended),
  ]);
  for (const extra of [former, formerRoot]) {
    expect(found([leaf, middle, extra])).toContain('warning expired');
    expect(found([leaf, middle, extra])).not.toContain('error expired');
  }
  expect(found([leaf, formerMiddle, middle])).toContain('warning expired');
  expect(found([leaf, formerMiddle])).toContain('error expired');
  const roots = [new X509Certificate(formerRoot.cert)];
  expect(found([leaf, middle, formerRoot], { roots })).toContain('error expired');
});

test('a certificate for clients only is none for a server', async () => {
  const client = await issueCertificate({ ca: root, usages: ['client'] });
  expect(found([client])).toEqual(['error wrong-usage']);
});

test('pins decide alone: what is wrong besides is only told', async () => {
  const own = await issueCertificate({ names: ['box.example'] });
  const pins = [certificatePin(new X509Certificate(own.cert))];
  expect(found([own], { pins })).toEqual(['info wrong-name', 'info self-signed']);
  expect(found([leaf, middle], { pins })).toEqual(['error pin-mismatch']);
});

test('a key that can be broken is no better for being pinned, but that of an authority does not matter then', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const weak = await issueCertificate({ ca: root, key });
  expect(found([weak])).toEqual(['error weak-key']);
  expect(found([weak], pinned(weak))).toEqual(['error weak-key']);
  const authority = await issueAuthority('Weak', root, { key });
  const below = await issuedBy(privateKey, 'CN=Weak');
  expect(found([below, authority])).toEqual(['error weak-key']);
  expect(found([below, authority], pinned(below))).toEqual(['info weak-key']);
});

function pinned({ cert }: Pair): Partial<CertificateTrust> {
  return { pins: [certificatePin(new X509Certificate(cert))] };
}

test('a weak key of the authority that is trusted counts, be it sent or not', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const authority = await issueAuthority('Weak', root, { key });
  const below = await issuedBy(privateKey, 'CN=Weak');
  const roots = [new X509Certificate(authority.cert)];
  expect(found([below], { roots })).toEqual(['error weak-key']);
  expect(found([below, authority], { roots })).toEqual(['error weak-key']);
});

test.each([
  ['RSASSA-PKCS1-v1_5', 'SHA-1', ['error weak-signature']],
  ['RSASSA-PKCS1-v1_5', 'SHA-256', []],
  ['RSA-PSS', 'SHA-1', ['error weak-signature']],
  ['RSA-PSS', 'SHA-256', []],
  ['RSA-PSS', 'SHA-512', []],
])('a signature by %s is as good as its hash: %s', async (name, hash, findings) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const authority = await issueAuthority('Signer', root, { key });
  const below = await issuedBy(privateKey, 'CN=Signer', { name, hash });
  expect(found([below, authority])).toEqual(findings);
});

/** A certificate that a key of RSA has signed. */
async function issuedBy(
  signer: KeyObject,
  issuer: string,
  algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
): Promise<Pair> {
  const x509 = await loadX509();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: '01',
    subject: 'CN=localhost',
    issuer,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    publicKey: publicKeyBytes(createPublicKey(leaf.key)),
    signingKey: signer.toCryptoKey(algorithm, false, ['sign']),
    signingAlgorithm: { ...algorithm, saltLength: 20 },
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }])],
  });
  return { cert: certificate.toString('pem'), key: leaf.key };
}

test('what makes a key trusted is a flag where the server is none that sealift trust could look at', async () => {
  const own = await issueCertificate();
  const roots = [new X509Certificate(stranger.cert)];
  const other = `sha256//${'A'.repeat(43)}=`;
  for (const [code, chain, trust, command] of [
    ['self-signed', [own], {}, 'sealift trust HOST'],
    ['unknown-ca', [leaf], {}, 'sealift trust HOST'],
    ['unknown-ca', [leaf, middle, root], { roots }, 'sealift trust HOST'],
    ['pin-mismatch', [own], { pins: [other] }, 'sealift trust --replace HOST'],
  ] as const) {
    const remedy = (isSealift: boolean) =>
      judged(chain, { ...trust, isSealift }).find((each) => each.code === code)?.remedy;
    const pin = certificatePin(new X509Certificate(chain[0].cert));
    expect(remedy(true)).toContain(command);
    expect(remedy(false)).toContain(`--pin ${pin}`);
    expect(remedy(false)).not.toContain('sealift trust');
  }
});
