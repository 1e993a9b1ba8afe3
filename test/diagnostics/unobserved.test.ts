import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';

import { diagnose } from '../../src/diagnostics/doctor.ts';
import { loopbackCertificate } from '../support/certificates.ts';
import { tlsServer, type Port } from '../support/listening.ts';

/** Passes the first two connections on to `server`, which are those for TCP and for TLS, and does `after` with others; without it, it does not listen any more. */
async function lettingTwoThrough(server: Port, after?: (client: Socket) => void): Promise<Port> {
  let connections = 0;
  const proxy = createServer((client) => {
    client.on('error', () => undefined);
    if (++connections > 2) return after?.(client);
    if (connections === 2 && after === undefined) proxy.close();
    const upstream = connect(server).on('error', () => client.destroy());
    client.pipe(upstream).pipe(client);
    onTestFinished(() => void upstream.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(() => void proxy.close());
  return { host: '127.0.0.1', port: (proxy.address() as AddressInfo).port };
}

test.each<[string, ((client: Socket) => void) | undefined]>([
  ['resets', (client) => void client.resetAndDestroy()],
  ['closes', (client) => void client.end()],
  ['refuses', undefined],
])('what a server that %s further connections would have said was not observed', async (_how, after) => {
  const server = await tlsServer({ ALPNProtocols: ['http/1.1'] });
  const address = await lettingTwoThrough(server, after);
  const { cert } = await loopbackCertificate();
  const diagnosis = await diagnose({ server: { address, ca: cert }, openssl: 'no-such-program' });
  expect(diagnosis.tls).toMatchObject({
    version: 'TLSv1.3',
    alpn: 'http/1.1',
    olderVersions: null,
    alpnEnforced: null,
    resumption: null,
  });
  expect(diagnosis.certificate?.subject).toBe('CN=localhost');
  expect(diagnosis.end).toBe('gave-up');
});

test('a server that cannot be reached a second time is told of as unreachable', async () => {
  const server = createServer((client) => {
    client.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const diagnosis = await diagnose({ server: { address: { host: '127.0.0.1', port } } });
  expect(diagnosis.end).toBe('unreachable');
  expect(diagnosis.findings.map(({ code }) => code)).toEqual(['unreachable']);
  expect(diagnosis.steps.find(({ state }) => state === 'failed')?.name).toBe('tls');
});
