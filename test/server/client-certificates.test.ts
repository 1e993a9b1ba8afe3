import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';

import { FakeClock } from '../support/fake-clock.ts';
import {
  issueAuthority,
  issueCertificate,
  issueRevocationList,
  issueRoot,
  type Pair,
} from '../support/certificates.ts';
import { silentLogger } from '../../src/logger.ts';
import { authenticate } from '../../src/server/authentication.ts';
import { FailedLogins } from '../../src/server/failed-logins.ts';
import { ClientAuthorities } from '../../src/trust/client-trust.ts';
import { parsePrincipals } from '../../src/trust/principals.ts';
import { startDirectoryServer, usersToml } from '../support/test-server.ts';

// That a public authority has signed a name is something which no test can bring about over a wire.
test.each([
  ['the client CA', true, 'host.example'],
  ['a public CA, where there is no client CA', false, undefined],
])('a name that is vouched for by %s', async (_, hasClientCa, principal) => {
  const ca = await issueAuthority();
  const { cert } = await issueCertificate({ names: ['host.example'], ca });
  const principals = parsePrincipals(usersToml({ 'host.example': { names: ['host.example'] } }), 'users');
  const clock = new FakeClock();
  const options = {
    trust: () => ({
      principals,
      authorities: hasClientCa ? new ClientAuthorities(ca.cert, 'CA') : undefined,
    }),
    anonymous: 'none' as const,
    readOnly: false,
    join: undefined,
    failedLogins: new FailedLogins(clock),
    clock,
    logger: silentLogger,
  };
  const peer = {
    address: '192.0.2.1',
    port: 1,
    tlsVersion: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    alpn: undefined,
    certificate: new X509Certificate(cert),
    certificateProblem: undefined,
    isResumed: false,
  };
  const known = await authenticate(options, peer, {}, () => Promise.resolve()).catch(() => undefined);
  expect(known?.identity.principal).toBe(principal);
});

describe('an authority that was revoked', () => {
  /** Two authorities below one root, of which the first was revoked, and who has a certificate of each. */
  async function setting() {
    const root = await issueRoot();
    const revoked = await issueAuthority('Revoked authority', root);
    const other = await issueAuthority('Other authority', root);
    return {
      ...{ root, revoked, other },
      crl: await issueRevocationList(root, [revoked]),
      alice: await issueCertificate({ commonName: 'alice', ca: revoked }),
      bob: await issueCertificate({ commonName: 'bob', ca: other }),
    };
  }

  const REFUSED = {
    code: 'unauthenticated',
    message: 'An authority behind the client certificate was revoked.',
  };
  const withChain = ({ cert, key }: Pair, ...behind: Pair[]) => ({
    cert: [cert, ...behind.map((each) => each.cert)].join(''),
    key,
  });

  test('lets nobody in who comes by it, wherever it stands in what is sent', async () => {
    const { root, revoked, other, crl, alice, bob } = await setting();
    const { connect } = await startDirectoryServer({ clientCa: root.cert, crl });
    const decoy = await issueAuthority('Revoked authority');
    for (const chain of [[revoked], [revoked, root], [decoy, decoy, revoked]]) {
      const client = await connect(withChain(alice, ...chain));
      expect((await client.hello()).header).toMatchObject(REFUSED);
    }
    const client = await connect(withChain(bob, other));
    expect((await client.hello()).header['principal']).toBe('bob');
  });

  test('lets nobody in where the server has it itself', async () => {
    const { root, revoked, other, crl, alice, bob } = await setting();
    const clientCa = root.cert + revoked.cert + other.cert;
    const { connect } = await startDirectoryServer({ clientCa, crl });
    expect((await (await connect(alice)).hello()).header).toMatchObject(REFUSED);
    expect((await (await connect(bob)).hello()).header['principal']).toBe('bob');
  });

  test('is not one that is trusted by itself, for its own list cannot tell', async () => {
    const { root, other, bob } = await setting();
    const crl = await issueRevocationList(root, [root]);
    const { connect } = await startDirectoryServer({ clientCa: root.cert, crl });
    const client = await connect(withChain(bob, other, root));
    expect((await client.hello()).header['principal']).toBe('bob');
  });
});
