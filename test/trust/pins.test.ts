import { X509Certificate } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { systemRandom } from '../../src/random.ts';
import { certificatePin, isPin } from '../../src/trust/pins.ts';
import { createIdentity } from '../../src/trust/server-identity.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hasOpenssl } from './openssl.ts';
import { test } from './scratch.ts';

const PIN = 'sha256//YhKJKSzoTt2b5FP18fvpHo7fJYqQCjAa3HWY3tvRMwE=';

describe('the pin of a certificate', () => {
  test('is the same from the parsed certificate, its DER and its PEM', async () => {
    const { cert, pin } = await createIdentity({
      names: ['a.example'],
      clock: new FakeClock(),
      random: systemRandom,
    });
    const certificate = new X509Certificate(cert);
    expect(isPin(pin)).toBe(true);
    expect(certificatePin(certificate)).toBe(pin);
    expect(certificatePin(certificate.raw)).toBe(pin);
    expect(certificatePin(Buffer.from(cert))).toBe(pin);
  });

  test('is what openssl computes in the way of the manual of curl', async ({ directory, skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    const { cert, pin } = await createIdentity({
      names: ['a.example'],
      clock: new FakeClock(),
      random: systemRandom,
    });
    const file = join(directory, 'cert.pem');
    await writeFile(file, cert);
    const publicKey = execFileSync('openssl', ['x509', '-in', file, '-noout', '-pubkey']);
    const der = execFileSync('openssl', ['pkey', '-pubin', '-outform', 'der'], { input: publicKey });
    const digest = execFileSync('openssl', ['dgst', '-sha256', '-binary'], { input: der });
    expect(pin).toBe(`sha256//${digest.toString('base64')}`);
  });

  test('differs between keys', async () => {
    const options = { names: ['a.example'], clock: new FakeClock(), random: systemRandom };
    expect((await createIdentity(options)).pin).not.toBe((await createIdentity(options)).pin);
  });

  test('of what is no certificate throws', () => {
    expect(() => certificatePin(Buffer.from('not a certificate'))).toThrow();
  });
});

test('a pin has one written form', () => {
  expect(isPin(PIN)).toBe(true);
  for (const text of [
    '',
    'sha256//',
    PIN.slice('sha256//'.length),
    PIN.slice(0, -1),
    `${PIN} `,
    ` ${PIN}`,
    PIN.replace('sha256', 'SHA256'),
    PIN.replace('//', '/'),
    // The same bytes, but with bits set that do not count.
    PIN.replace('E=', 'F='),
    `sha256//${Buffer.alloc(31).toString('base64')}`,
    `sha256//${Buffer.alloc(33).toString('base64')}`,
    `sha256//${Buffer.alloc(32, 0xff).toString('base64url')}=`,
  ]) {
    expect(isPin(text), text).toBe(false);
  }
});
