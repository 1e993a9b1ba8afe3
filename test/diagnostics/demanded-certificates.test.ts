import { expect, test } from 'vitest';

import { diagnose, type Diagnosis } from '../../src/diagnostics/doctor.ts';
import { parseRequirement } from '../../src/diagnostics/requirements.ts';
import { issueAuthority, issueCertificate, type Pair } from '../support/certificates.ts';
import { tlsServer } from '../support/listening.ts';

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
