import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';

import type { Logger } from '../../src/logger.ts';
import type { AuditLog } from '../../src/server/audit.ts';
import type { ServerMetrics } from '../../src/server/metrics.ts';
import { bytesOf, putInline } from '../support/raw-upload.ts';
import { startDirectoryServer } from '../support/test-server.ts';

const fails = () => {
  throw new Error('the stream is closed');
};
const failsLater = async () => fails();

/** Who is told of what happens, each method the same. */
function observers(method: () => unknown) {
  return {
    logger: { debug: method, info: method, warn: method, error: method } as Logger,
    audit: { record: method } as AuditLog,
    metrics: {
      refusal: method,
      handshake: method,
      content: method,
      request: method,
      error: method,
    } as ServerMetrics,
  };
}

test.each([
  ['throw', observers(fails)],
  ['reject', observers(failsLater)],
  ['are missing', { logger: {} as Logger, audit: {} as AuditLog, metrics: {} as ServerMetrics }],
])('that methods of the logger, the audit log and the metrics %s disturbs nobody', async (_, told) => {
  const { server, connect: secure } = await startDirectoryServer({ ...told, anonymous: 'write' });
  const stranger = connect(server.address as { host: string; port: number });
  stranger.on('error', () => undefined).end('GET / HTTP/1.0\r\n\r\n');
  await once(stranger, 'close');
  const faulty = await secure();
  await faulty.hello();
  faulty.write('GET / HTTP/1.0\r\n\r\n');
  await faulty.ended();
  const client = await secure();
  await client.hello();
  expect((await client.ask('stat', { path: 'missing' })).header['code']).toBe('not-found');
  expect((await putInline(client, 'a', bytesOf(10))).header['status']).toBe('ok');
  await server.reload();
  await client.destroy();
  await server.close();
});
