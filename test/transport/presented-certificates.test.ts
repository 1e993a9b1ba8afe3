import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { presentedCertificates } from '../../src/transport/presented-certificates.ts';
import { issueAuthority, issueCertificate, loopbackCertificate } from '../support/certificates.ts';
import { listening, tcpServer, tlsServer, type Port } from '../support/listening.ts';

const seen = async (address: Port) =>
  (await presentedCertificates({ address, clock: systemClock })).map(({ raw }) => raw);
const der = (pem: string) => new X509Certificate(pem).raw;

test('are those of a server of ours', async () => {
  const { listener } = await listening();
  expect(await seen(listener.address as Port)).toEqual([der((await loopbackCertificate()).cert)]);
});

test.for<[string, Parameters<typeof tlsServer>[0]]>([
  ['speaks another protocol', { ALPNProtocols: ['http/1.1'] }],
  ['speaks no protocol by name', {}],
  ['speaks TLS 1.2 only', { maxVersion: 'TLSv1.2' }],
  ['speaks TLS 1.0 only', { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }],
  ['asks for a certificate and insists', { requestCert: true, rejectUnauthorized: true }],
  ['ends the handshake without one', { maxVersion: 'TLSv1.2', requestCert: true, rejectUnauthorized: true }],
])('are those of a server that %s', async ([, options]) => {
  expect(await seen(await tlsServer(options))).toEqual([der((await loopbackCertificate()).cert)]);
});

test('come with those of the authorities that it sends, and are not judged', async () => {
  const ca = await issueAuthority();
  const expired = { names: ['other.example'], notBefore: new Date(0), notAfter: new Date(1_000) };
  const { cert, key } = await issueCertificate({ ...expired, ca });
  const server = await tlsServer({ cert: cert + ca.cert, key });
  expect(await seen(server)).toEqual([der(cert), der(ca.cert)]);
});

test('are not shown by what speaks no TLS', async () => {
  const server = await tcpServer((socket) => socket.end('220 ready\r\n'));
  await expect(seen(server)).rejects.toMatchObject({ code: 'not-tls' });
});

test('are not waited for once they are not wanted', async () => {
  const controller = new AbortController();
  const server = await tcpServer(() => controller.abort());
  await expect(
    presentedCertificates({ address: server, clock: systemClock, signal: controller.signal }),
  ).rejects.toMatchObject({ code: 'aborted' });
});
