import { beforeAll, expect, test } from 'vitest';

import { formatAddress } from '../../src/transport/address.ts';
import type { DialTls } from '../../src/transport/dial.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { verifyServer, type ServerTrust } from '../../src/trust/verify-server.ts';
import { issueAuthority, issueCertificate, type Pair } from '../support/certificates.ts';
import { dialling } from '../support/dialling.ts';
import { failureOf } from '../support/failure.ts';
import { listening, type Port } from '../support/listening.ts';

const HOUR_MS = 3_600_000;
const ago = (hours: number) => new Date(Date.now() - hours * HOUR_MS);

let certificates: Record<'authority' | 'signed' | 'selfSigned' | 'expired' | 'early' | 'elsewhere', Pair>;
beforeAll(async () => {
  const authority = await issueAuthority();
  const ca = authority;
  certificates = {
    authority,
    signed: await issueCertificate({ ca }),
    selfSigned: await issueCertificate(),
    expired: await issueCertificate({ ca, notBefore: ago(2), notAfter: ago(1) }),
    early: await issueCertificate({ ca, notBefore: ago(-1), notAfter: ago(-2) }),
    elsewhere: await issueCertificate({ ca, names: ['files.example', '192.0.2.1'] }),
  };
});

type Name = keyof typeof certificates;
interface Client extends ServerTrust, DialTls {
  knows?: Name;
  pinsKeyOf?: Name;
  host?: string;
}

/** Dials a server that shows `shown`, as a client that trusts what `client` says. */
async function dialled(shown: Name, { knows, pinsKeyOf, host = '127.0.0.1', ...client }: Client) {
  const server = await listening({ tls: certificates[shown] });
  const address = { host, port: (server.listener.address as Port).port };
  const tls = { ...client, ...(knows ? { ca: certificates[knows].cert } : {}) };
  const pins = pinsKeyOf ? [certificatePin(Buffer.from(certificates[pinsKeyOf].cert))] : [];
  const dialled = dialling({
    address,
    tls,
    verify: (peer) => verifyServer(peer, formatAddress(address), { ...client, pins }),
  });
  return { server, dialled };
}

test.each<[string, Name, Client]>([
  ['signed by an authority that is known', 'signed', { knows: 'authority' }],
  ['signed for the name that is dialled', 'signed', { knows: 'authority', host: 'localhost' }],
  ['signed for the name that is asked for', 'elsewhere', { knows: 'authority', servername: 'files.example' }],
  ['that is known itself', 'selfSigned', { knows: 'selfSigned' }],
  ['whose key is pinned', 'selfSigned', { pinsKeyOf: 'selfSigned' }],
  ['that has expired but whose key is pinned', 'expired', { pinsKeyOf: 'expired' }],
  ['for other names but whose key is pinned', 'elsewhere', { pinsKeyOf: 'elsewhere' }],
  ['of anybody, if that is asked for', 'expired', { insecure: true }],
])('a certificate %s is accepted', async (_, shown, client) => {
  const { dialled: opening } = await dialled(shown, client);
  const { peer } = await opening;
  expect(peer.alpn).toBe('sealift/1');
});

test.each<[string, Name, Client, string]>([
  ['that nobody vouches for', 'selfSigned', {}, 'certificate-untrusted'],
  ['of an authority that is not known', 'signed', { knows: 'selfSigned' }, 'certificate-untrusted'],
  ['whose key is not the pinned one', 'selfSigned', { pinsKeyOf: 'signed' }, 'pin-mismatch'],
  [
    'whose key is not the pinned one, though an authority vouches for it',
    'signed',
    { knows: 'authority', pinsKeyOf: 'selfSigned' },
    'pin-mismatch',
  ],
  ['that has expired', 'expired', { knows: 'authority' }, 'certificate-expired'],
  ['that is not valid yet', 'early', { knows: 'authority' }, 'certificate-not-yet-valid'],
  ['for other names', 'elsewhere', { knows: 'authority' }, 'certificate-wrong-name'],
  [
    'for another name than the one that is asked for',
    'signed',
    { knows: 'authority', servername: 'files.example' },
    'certificate-wrong-name',
  ],
])('a certificate %s is refused, and nothing was sent', async (_, shown, client, code) => {
  const { server, dialled: opening } = await dialled(shown, client);
  const failure = await failureOf(opening);
  expect(failure).toMatchObject({ code, hint: expect.any(String), retryable: false });
  expect(failure.message).toContain('127.0.0.1');
  await server.until(() => server.closed.length === 1);
  for (const { connection } of server.secured) expect(connection.receivedBytes).toBe(0);
});
