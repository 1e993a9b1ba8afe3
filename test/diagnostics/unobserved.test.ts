import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';

import { diagnose } from '../../src/diagnostics/doctor.ts';
import { loopbackCertificate } from '../support/certificates.ts';
import { tlsServer, type Port } from '../support/listening.ts';

/** Passes the first two connections on to `server`, which are those for TCP and for TLS, and does `after` with others; without it, it does not listen any more. */
function lettingTwoThrough(server: Port, after?: (client: Socket) => void): Promise<Port> {
  let connections = 0;
  const proxy = createServer((client) => {
    client.on('error', () => undefined);
    if (++connections > 2) return after?.(client);
    if (connections === 2 && after === undefined) proxy.close();
    const upstream = connect(server).on('error', () => client.destroy());
    client.pipe(upstream).pipe(client);
    onTestFinished(() => void upstream.destroy());
  });
  return listeningOn(proxy);
}

/** Passes on what `server` says up to the `heardChunks`th part of what the client does, and holds back what comes then, as a slow way would. */
function holdingBack(server: Port, heardChunks: number): Promise<Port> {
  const proxy = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect(server).on('error', () => client.destroy());
    let chunks = 0;
    client.on('error', () => undefined).on('data', (said) => void (++chunks, upstream.write(said)));
    client.on('end', () => upstream.end()).on('close', () => upstream.destroy());
    upstream.on('data', (said) => chunks <= heardChunks && client.write(said));
  });
  return listeningOn(proxy);
}

async function listeningOn(server: Server): Promise<Port> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
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
  const address = await listeningOn(server);
  const diagnosis = await diagnose({ server: { address } });
  expect(diagnosis.end).toBe('unreachable');
  expect(diagnosis.findings.map(({ code }) => code)).toEqual(['unreachable']);
  expect(diagnosis.steps.find(({ state }) => state === 'failed')?.name).toBe('tls');
});

test('whether a server resumes that turns everybody away was not observed', async () => {
  const address = await tlsServer({ minVersion: 'TLSv1.3' }, (socket) => socket.destroy());
  const { cert } = await loopbackCertificate();
  const { tls } = await diagnose({ server: { address, ca: cert }, openssl: 'no-such-program' });
  expect(tls).toMatchObject({ version: 'TLSv1.3', resumption: null });
});

test.each([
  ['comes in time is resumed', Infinity, true],
  // The handshake of the client ends with the second part.
  ['may still come was not observed', 1, null],
])('a session that %s', async (_how, heardChunks, resumption) => {
  const server = await tlsServer({ minVersion: 'TLSv1.3' });
  const address = await holdingBack(server, heardChunks);
  const { cert } = await loopbackCertificate();
  const { tls } = await diagnose({ server: { address, ca: cert }, openssl: 'no-such-program' });
  expect(tls).toMatchObject({ version: 'TLSv1.3', resumption, olderVersions: [] });
});
