import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { listeningServer } from '../../src/server/listening-file.ts';
import { statePaths } from '../../src/server/state-paths.ts';
import { failureOf } from '../support/failure.ts';
import { startDirectoryServer, temporaryDirectory } from '../support/test-server.ts';

test('tells where a server listens for as long as it does', async () => {
  const { server, root } = await startDirectoryServer();
  const { listening, users } = statePaths(root);
  expect(await listeningServer(root)).toEqual({ address: server.address, pin: server.pin, usersFile: users });
  expect(statSync(listening).mode & 0o777).toBe(0o600);
  await server.close();
  expect(existsSync(listening)).toBe(false);
  expect(await listeningServer(root)).toBeUndefined();
});

test.each([
  ['all addresses', { host: '', port: 0 }, (port: number) => ({ host: '', port })],
  ['::1', { host: '::1', port: 0 }, (port: number) => ({ host: '::1', port })],
])('on %s', async (_, options, expected) => {
  const { server, root } = await startDirectoryServer(options);
  const { port } = server.address as { port: number };
  expect((await listeningServer(root))?.address).toEqual(expected(port));
});

test('on a Unix socket, with a users file of its own', async () => {
  const directory = await temporaryDirectory();
  const [socketPath, usersFile] = [join(directory, 's.sock'), join(directory, 'users.toml')];
  writeFileSync(usersFile, '', { mode: 0o600 });
  const { root } = await startDirectoryServer({ socketPath, usersFile });
  expect(await listeningServer(root)).toMatchObject({ address: { path: socketPath }, usersFile });
});

test('of a server that was killed is not believed', async () => {
  const { server, root } = await startDirectoryServer();
  const { listening } = statePaths(root);
  const left = readFileSync(listening);
  await server.close();
  writeFileSync(listening, left);
  expect(await listeningServer(root)).toBeUndefined();
});

test('that is damaged is refused', async () => {
  const { root } = await startDirectoryServer();
  for (const text of ['', 'null', '{"address":"x"}', '{"address":":1","pin":"sha256//","usersFile":"/x"}']) {
    writeFileSync(statePaths(root).listening, text);
    expect((await failureOf(listeningServer(root))).code).toBe('bad-configuration');
  }
});
