import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';

import { FakeClock } from '../support/fake-clock.ts';
import { issueAuthority, issueCertificate } from '../support/certificates.ts';
import { silentLogger } from '../../src/logger.ts';
import { authenticate } from '../../src/server/authentication.ts';
import { FailedLogins } from '../../src/server/failed-logins.ts';
import { ClientAuthorities } from '../../src/trust/client-trust.ts';
import { parsePrincipals } from '../../src/trust/principals.ts';
import { usersToml } from '../support/test-server.ts';

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
  const known = await authenticate(options, peer, {}).catch(() => undefined);
  expect(known?.identity.principal).toBe(principal);
});
