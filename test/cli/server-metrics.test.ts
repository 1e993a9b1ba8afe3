import { afterAll, expect, test } from 'vitest';

import { parseMetricsAddress } from '../../src/cli/server-metrics.ts';
import { connect } from '../../src/client/connect.ts';
import { CliHome } from '../support/cli.ts';
import { codeThrownBy } from '../thrown.ts';

const home = new CliHome();
afterAll(() => home.close());

test.each([
  ['9464', '127.0.0.1', 9464],
  [':9464', '127.0.0.1', 9464],
  ['0.0.0.0:9464', '0.0.0.0', 9464],
  ['[::1]:0', '::1', 0],
])('metrics at %s are on %s, port %i', (text, host, port) => {
  expect(parseMetricsAddress(text)).toEqual({ host, port });
});

test('metrics need a port', () => {
  expect(codeThrownBy(() => parseMetricsAddress('localhost'))).toBe('usage');
});

test('serve --metrics says where they are, and counts what is done', async () => {
  const { process, host, port, pin } = await home.serve(['--metrics', ':0']);
  const { url } = (await process.event('metrics')) as unknown as { url: string };
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  const client = await connect({ address: { host, port }, pins: [pin] });
  await client.put('one', Buffer.from('content'));
  await client.close();
  const text = await (await fetch(url)).text();
  expect(text).toContain('sealift_files_total{direction="received"} 1');
  expect(text).toContain('sealift_bytes_total{direction="received"} 7');
  expect(text).toMatch(/sealift_certificate_expiry_seconds \d{8,}/);
  // Nobody else can have the address, and then nothing is served at all.
  const second = await home.run(['serve', 'other', '--port', '0', '--metrics', new URL(url).host]);
  expect([second.code, second.stdout]).toEqual([2, '']);
  expect(second.stderr).toContain('EADDRINUSE');
  expect((await process.kill('SIGTERM')).code).toBe(0);
});
