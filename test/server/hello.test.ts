import { expect, test } from 'vitest';
import { startTestServer, startDirectoryServer } from '../support/test-server.ts';

test('a', async () => {
  const { login } = await startTestServer();
  const client = await login();
  expect((await client.askOk('ping')).header['time-ms']).toEqual(expect.any(Number));
});
test('b', async () => {
  const { server, connect } = await startDirectoryServer();
  const client = await connect();
  const { header } = await client.hello({ join: server.issueJoinCode() });
  expect(header['token']).toEqual(expect.any(String));
});
