import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { describe, expect } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { systemRandom } from '../../src/random.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { createIdentity, loadOrCreateIdentity } from '../../src/trust/server-identity.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hasOpenssl } from './openssl.ts';
import { test } from './scratch.ts';

const HOUR_MS = 3_600_000;
const NAMES = ['a.example', '*.b.example', '127.0.0.1', '::1', '::ffff:1.2.3.4'];
const created = (options: { names?: string[]; days?: number } = {}) =>
  createIdentity({ names: NAMES, clock: new FakeClock(), random: systemRandom, ...options });

describe('a new identity', () => {
  test('is a P-256 key, and a certificate for it with all names, from an hour ago for 20 years', async () => {
    const clock = new FakeClock();
    const { cert, key, pin } = await createIdentity({ names: NAMES, clock, random: systemRandom });
    const certificate = new X509Certificate(cert);
    const privateKey = createPrivateKey(key);
    expect(privateKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(certificate.checkPrivateKey(privateKey)).toBe(true);
    expect(certificatePin(certificate)).toBe(pin);
    expect(certificate.subject).toBe('CN=a.example');
    for (const host of ['a.example', 'x.b.example']) expect(certificate.checkHost(host), host).toBeDefined();
    for (const ip of ['127.0.0.1', '::1', '::ffff:102:304'])
      expect(certificate.checkIP(ip), ip).toBeDefined();
    expect(certificate.checkHost('c.example')).toBeUndefined();
    expect(certificate.checkIP('::ffff:1')).toBeUndefined();
    expect(certificate.validFromDate.getTime()).toBe(clock.now() - HOUR_MS);
    expect(certificate.validToDate.getTime()).toBe(clock.now() - HOUR_MS + 7_300 * 24 * HOUR_MS);
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  test('is valid as long as asked', async () => {
    const { validFromDate, validToDate } = new X509Certificate((await created({ days: 3 })).cert);
    expect(validToDate.getTime() - validFromDate.getTime()).toBe(72 * HOUR_MS);
  });

  test('has names that are too long for a subject among the alternatives only', async () => {
    const name = `${'a'.repeat(60)}.example`;
    const certificate = new X509Certificate((await created({ names: [name] })).cert);
    expect(certificate.subject).toBe('CN=sealift');
    expect(certificate.checkHost(name)).toBe(name);
  });

  test.for([[], ['a.example', 'b, O=evil'], ['']])('is not made for %j', async (names) => {
    await expect(created({ names })).rejects.toMatchObject({ code: 'invalid-argument' });
  });

  test('is what openssl takes for a sound server certificate', async ({ directory, skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    const { cert, key } = await createIdentity({ names: NAMES, clock: systemClock, random: systemRandom });
    const file = join(directory, 'cert.pem');
    await writeFile(file, cert);
    const openssl = (...args: string[]) => execFileSync('openssl', args, { encoding: 'utf8', input: key });
    expect(
      openssl(
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-verify_hostname',
        'a.example',
        '-CAfile',
        file,
        file,
      ),
    ).toMatch(/: OK$/m);
    const text = openssl('x509', '-in', file, '-noout', '-text');
    expect(text.match(/Signature Algorithm: .*/g)).toEqual(
      Array(2).fill('Signature Algorithm: ecdsa-with-SHA256'),
    );
    expect(text).toContain('TLS Web Server Authentication');
    expect(text).toContain('DNS:a.example, DNS:*.b.example, IP Address:127.0.0.1');
    expect(openssl('pkey', '-noout', '-check')).toContain('Key is valid');
  });

  test('serves TLS 1.3, and the client sees its pin', async () => {
    const { cert, key, pin } = await createIdentity({
      names: ['localhost'],
      clock: systemClock,
      random: systemRandom,
    });
    const server = createServer({ cert, key, minVersion: 'TLSv1.3' }, (socket) => socket.end()).listen(
      0,
      '127.0.0.1',
    );
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = connect({ host: '127.0.0.1', port, ca: cert, servername: 'localhost' });
    await once(client, 'secureConnect');
    expect(certificatePin(client.getPeerX509Certificate() as X509Certificate)).toBe(pin);
    client.destroy();
    server.close();
    await once(server, 'close');
  });
});

describe('a stored identity', () => {
  const load = (directory: string, random = systemRandom) =>
    loadOrCreateIdentity(directory, { names: ['a.example'], clock: new FakeClock(), random });
  const paths = (directory: string) => ({
    key: join(directory, 'key.pem'),
    cert: join(directory, 'cert.pem'),
  });

  test('is made once, private, and found again', async ({ directory }) => {
    const home = join(directory, 'new', 'identity');
    const first = await load(home);
    expect(first.created).toBe(true);
    expect((await readdir(home)).sort()).toEqual(['cert.pem', 'key.pem']);
    for (const path of Object.values(paths(home))) expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    expect(await load(home)).toEqual({ ...first, created: false });
  });

  test('is one, when two servers start at once', async ({ directory }) => {
    const both = await Promise.all([load(directory), load(directory)]);
    expect(both[0].pin).toBe(both[1].pin);
    expect(both.map(({ created: made }) => made).sort()).toEqual([false, true]);
    expect((await load(directory)).pin).toBe(both[0].pin);
  });

  test('keeps its pin when a crash left the key without its certificate', async ({ directory }) => {
    let writes = 0;
    const crashing = {
      ...systemRandom,
      // Each file that is written asks once for a temporary name, which has 8 bytes.
      bytes: (length: number) => {
        if (length === 8) writes += 1;
        if (writes === 2) throw new Error('crash');
        return systemRandom.bytes(length);
      },
    };
    await expect(load(directory, crashing)).rejects.toThrow();
    expect(await readdir(directory)).toEqual(['key.pem']);
    const key = await readFile(paths(directory).key, 'utf8');

    const recovered = await load(directory);
    expect(recovered.created).toBe(true);
    expect(recovered.key).toBe(key);
    const certificate = new X509Certificate(recovered.cert);
    expect(certificate.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect((await load(directory)).pin).toBe(recovered.pin);
  });

  test('is made without leaving what one that was killed had written of a key', async ({ directory }) => {
    await writeFile(join(directory, '.sealift-0123456789abcdef.tmp'), 'a key', { mode: 0o600 });
    await load(directory);
    expect((await readdir(directory)).sort()).toEqual(['cert.pem', 'key.pem']);
  });

  test('gets a new certificate for the same key when the old one is removed', async ({ directory }) => {
    const { pin } = await load(directory);
    await rm(paths(directory).cert);
    const renewed = await loadOrCreateIdentity(directory, {
      names: ['new.example'],
      clock: new FakeClock(),
      random: systemRandom,
    });
    expect(renewed.pin).toBe(pin);
    expect(new X509Certificate(renewed.cert).checkHost('new.example')).toBeDefined();
  });

  test('that does not belong together is refused, in both files named', async ({ directory }) => {
    await load(directory);
    const other = join(directory, 'other');
    await load(other);
    await copyFile(paths(other).key, paths(directory).key);
    await expect(load(directory)).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringMatching(/key\.pem is not the key of the certificate .*cert\.pem/),
      hint: expect.any(String),
    });
  });

  test('without its key is refused, and no new key is made', async ({ directory }) => {
    await load(directory);
    await rm(paths(directory).key);
    await expect(load(directory)).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining(paths(directory).key),
    });
    expect(await readdir(directory)).toEqual(['cert.pem']);
  });

  test('whose key others can read is refused, with or without certificate', async ({ directory }) => {
    await load(directory);
    await chmod(paths(directory).key, 0o644);
    const refusal = { code: 'bad-configuration', hint: expect.stringContaining('chmod 600') };
    await expect(load(directory)).rejects.toMatchObject(refusal);
    await rm(paths(directory).cert);
    await expect(load(directory)).rejects.toMatchObject(refusal);
  });

  test.for(['key', 'cert'] as const)(
    'whose %s is damaged is refused, not replaced',
    async (kind, { directory }) => {
      await load(directory);
      const path = paths(directory)[kind];
      await writeFile(path, '');
      await expect(load(directory)).rejects.toMatchObject({
        code: 'bad-configuration',
        message: expect.stringContaining(path),
      });
      expect(await readFile(path, 'utf8')).toBe('');
    },
  );

  test('whose file cannot be read is an error, not a first start', async ({ directory }) => {
    await mkdir(paths(directory).cert);
    await expect(load(directory)).rejects.toMatchObject({ code: 'local-file' });
  });

  test('is not made for a key of another kind that lies there', async ({ directory }) => {
    const { privateKey } = generateKeyPairSync('ed25519');
    await writeFile(paths(directory).key, privateKey.export({ type: 'pkcs8', format: 'pem' }), {
      mode: 0o600,
    });
    await expect(load(directory)).rejects.toMatchObject({
      code: 'bad-configuration',
      message: expect.stringContaining('P-256'),
    });
  });

  test('is made for a P-256 key in the form that older programs write', async ({ directory }) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const pem = privateKey.export({ type: 'sec1', format: 'pem' });
    await writeFile(paths(directory).key, pem, { mode: 0o600 });
    const { cert } = await load(directory);
    expect(new X509Certificate(cert).checkPrivateKey(privateKey)).toBe(true);
    expect(await readFile(paths(directory).key, 'utf8')).toBe(pem);
  });
});
