import { execFileSync } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { hasOpenssl } from './openssl.ts';
import { test } from './scratch.ts';

test('the script makes an authority, and a server and a client certificate that it signed', async ({
  directory,
  skip,
}) => {
  const make = () =>
    execFileSync(process.execPath, ['scripts/make-certs.ts', directory], { encoding: 'utf8' });
  make();
  const printed = make();
  const files = ['ca.key', 'ca.pem', 'client.key', 'client.pem', 'server.key', 'server.pem'];
  expect((await readdir(directory)).sort()).toEqual(files);
  for (const name of ['ca', 'client', 'server']) {
    expect(printed).toContain(join(directory, name));
    expect((await stat(join(directory, `${name}.key`))).mode & 0o777).toBe(0o600);
  }

  skip(!hasOpenssl, 'openssl is not installed');
  const verify = (purpose: string, name: string, ...more: string[]) => {
    const args = [
      'verify',
      '-purpose',
      purpose,
      '-CAfile',
      join(directory, 'ca.pem'),
      ...more,
      join(directory, name),
    ];
    return execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });
  };
  expect(verify('sslserver', 'server.pem', '-verify_hostname', 'localhost')).toMatch(/: OK$/m);
  expect(verify('sslserver', 'server.pem', '-verify_ip', '::1')).toMatch(/: OK$/m);
  expect(verify('sslclient', 'client.pem')).toMatch(/: OK$/m);
  expect(() => verify('sslserver', 'client.pem')).toThrow();
});
