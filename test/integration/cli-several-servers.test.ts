import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

import { formatAddress } from '../../src/transport/address.ts';
import { CliHome } from '../support/cli.ts';
import { startDirectoryServer } from '../support/test-server.ts';

const home = new CliHome();
afterAll(() => home.close());

test('a remote of two servers: each is saved with its pin, they take turns, and one may be down', async () => {
  const [one, two] = await Promise.all([
    startDirectoryServer({ anonymous: 'write' }),
    startDirectoryServer({ anonymous: 'write' }),
  ]);
  const servers = [one, two].map(({ server }) => ({
    address: formatAddress(server.address),
    pin: server.pin,
  }));
  const urls = servers.map(({ address, pin }) => `sealift://${address}?pin=${pin}`);
  expect((await home.run(['remote', 'add', 'box', ...urls])).code).toBe(0);
  const [listed] = (await home.runJson(['remote', 'list'])).events;
  const [first, second] = servers.map(({ address, pin }) => ({ address, pins: [pin], login: 'anonymous' }));
  expect(listed).toEqual({ type: 'remote', name: 'box', ...first, also: [second] });

  home.write('work/file', 'content');
  const put = (name: string, ...args: string[]) => home.runJson(['put', 'file', `box:${name}`, ...args]);
  for (const name of ['first', 'second']) expect((await put(name, '--balance', 'round-robin')).code).toBe(0);
  expect(readFileSync(join(one.root, 'first'), 'utf8')).toBe('content');
  expect(readFileSync(join(two.root, 'second'), 'utf8')).toBe('content');

  await one.server.close();
  const { code, events } = await put('third');
  expect(code).toBe(0);
  expect(events).toContainEqual(
    expect.objectContaining({ type: 'moved', code: 'connection-refused', to: second?.address }),
  );
  expect(readFileSync(join(two.root, 'third'), 'utf8')).toBe('content');
});

test('the key of another server than the first is changed by the command that is advised', async () => {
  const servers = await Promise.all([1, 2].map(() => startDirectoryServer({ anonymous: 'write' })));
  const [first, second] = servers.map(({ server }) => ({
    address: formatAddress(server.address),
    pin: server.pin,
  })) as [{ address: string; pin: string }, { address: string; pin: string }];
  const urls = [first, second].map(({ address, pin }) => `sealift://${address}?pin=${pin}`);
  expect((await home.run(['remote', 'add', 'pair', ...urls])).code).toBe(0);
  const file = 'config/sealift/remotes.toml';
  const wrong = `sha256//${Buffer.alloc(32).toString('base64')}`;
  home.write(file, home.read(file).toString().replaceAll(second.pin, wrong));
  await servers[0]?.server.close();

  const { code, events } = await home.runJson(['ls', 'pair:']);
  expect({ code, error: events.at(-1) }).toMatchObject({ code: 6, error: { code: 'pin-mismatch' } });
  const [, advice = ''] = /: sealift (trust .*)$/.exec(String(events.at(-1)?.['hint'])) ?? [];
  expect(advice).toBe(`trust --replace ${second.address}`);
  // It may have been trusted by its address alone before.
  home.trust(second.address, second.pin);
  expect((await home.run([...advice.split(' '), '--yes'])).code).toBe(0);
  expect((await home.run(['ls', 'pair:'])).code).toBe(0);
  const listed = (await home.runJson(['remote', 'list'])).events.find(({ name }) => name === 'pair');
  expect(listed).toMatchObject({ pins: [first.pin], also: [{ pins: [second.pin] }] });
});
