import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';

import { diagnose, type Diagnosis } from '../../src/diagnostics/doctor.ts';
import { parseRequirement } from '../../src/diagnostics/requirements.ts';
import { issueAuthority, issueCertificate, type Pair } from '../support/certificates.ts';
import { tcpServer, tlsServer, type Port } from '../support/listening.ts';

const DEMANDING = { requestCert: true, rejectUnauthorized: true };

function errors({ findings }: Diagnosis): string[] {
  return findings.filter(({ severity }) => severity === 'error').map(({ code }) => code);
}

/** A server whose certificate has expired, and the authority that issued it. */
async function expired(): Promise<{ pair: Pair; ca: Pair }> {
  const ca = await issueAuthority();
  const pair = await issueCertificate({ ca, notBefore: new Date(0), notAfter: new Date(1_000) });
  return { pair, ca };
}

/** Passes on what `server` says, with `from` in it changed to `to`. */
function changing(server: Port, from: Buffer, to: Buffer): Promise<Port> {
  return tcpServer((client: Socket) => {
    const upstream = connect(server).on('error', () => client.destroy());
    client.pipe(upstream).on('data', (said: Buffer) => {
      const at = said.indexOf(from);
      if (at >= 0) to.copy(said, at);
      client.write(said);
    });
    upstream.on('end', () => client.end());
  });
}

/** A fatal alert as TLS 1.2 sends it. */
const alert = (code: number) => Buffer.from([21, 3, 3, 0, 2, 2, code]);
const [HANDSHAKE_FAILURE, BAD_CERTIFICATE] = [alert(40), alert(42)];

test('the certificate of a server that ends the handshake for want of ours is judged all the same', async () => {
  const { pair, ca } = await expired();
  const address = await tlsServer({ ...pair, ...DEMANDING, maxVersion: 'TLSv1.2' });
  const requirements = [parseRequirement('cert-days>=0')];
  const diagnosis = await diagnose({ server: { address, ca: ca.cert }, requirements });
  expect(diagnosis.end).toBe('trust');
  expect(errors(diagnosis)).toEqual(['client-certificate-required', 'expired', 'condition-failed']);
  expect(diagnosis.certificate?.subject).toBe('CN=localhost');
  expect(diagnosis.findings.map(({ message }) => message).join()).not.toContain('not observed');
});

test('a server may call the certificate that it does not get a bad one', async () => {
  const ca = await issueAuthority();
  const pair = await issueCertificate({ ca });
  const server = await tlsServer({ ...pair, ...DEMANDING, maxVersion: 'TLSv1.2' });
  const address = await changing(server, HANDSHAKE_FAILURE, BAD_CERTIFICATE);
  for (const openssl of ['openssl', 'no-such-program']) {
    const diagnosis = await diagnose({ server: { address, ca: ca.cert }, openssl });
    expect(diagnosis.end).toBe('trust');
    expect(errors(diagnosis)).toEqual(['client-certificate-required']);
    expect(diagnosis.steps.find(({ state }) => state === 'failed')?.name).toBe('login');
  }
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a server that ends %s without a word on a certificate of a stranger has refused it',
  async (version) => {
    const [ca, stranger] = await Promise.all([issueAuthority(), issueAuthority('Stranger')]);
    const pair = await issueCertificate({ ca });
    const own = await issueCertificate({ ca: stranger, usages: ['client'] });
    const address = await tlsServer({ ...pair, ...DEMANDING, ca: ca.cert, maxVersion: version });
    for (const openssl of ['openssl', 'no-such-program']) {
      const diagnosis = await diagnose({ server: { address, ca: ca.cert, ...own }, openssl });
      expect(diagnosis.end).toBe('trust');
      expect(errors(diagnosis)).toEqual(['client-certificate-refused']);
      const { tls, certificate } = diagnosis;
      expect(tls).toMatchObject({ version, resumption: null, alpnEnforced: null });
      expect(certificate?.matchedName).toBe('127.0.0.1');
    }
    const known = await issueCertificate({ ca, usages: ['client'] });
    const accepted = await diagnose({ server: { address, ca: ca.cert, ...known } });
    expect(accepted.end).toBeUndefined();
    expect(accepted.tls?.clientCertificate.accepted).toBe(true);
  },
);

test('a server that ends the handshake behind its certificate and asked for none has refused TLS', async () => {
  const ca = await issueAuthority();
  const server = await tlsServer({ ...(await issueCertificate({ ca })), maxVersion: 'TLSv1.2' });
  const address = await tcpServer((client) => {
    const upstream = connect(server).on('error', () => client.destroy());
    // Hello and certificate come at once; what answers the key of the client is not passed on.
    client.pipe(upstream).once('data', (said: Buffer) => client.end(said));
  });
  const diagnosis = await diagnose({ server: { address, ca: ca.cert } });
  expect(diagnosis.end).toBe('trust');
  expect(errors(diagnosis)).toEqual(['tls-refused']);
  expect(diagnosis.steps.find(({ state }) => state === 'failed')?.name).toBe('tls');
});
