import type { X509Certificate } from 'node:crypto';

import type { ClientTrust } from '../trust/client-trust.ts';
import type { Ending } from './expiry-warnings.ts';

/** When a certificate that the server shows ends. */
export function serverCertificateEnding(certificate: X509Certificate): Ending {
  return {
    what: `the certificate of the server, ${subjectOf(certificate)}`,
    endsMs: certificate.validToDate.getTime(),
    remedy: 'Renew it, for instance with: sealift cert renew. The new one is used without a restart.',
  };
}

/** When what clients are judged by ends. Those whose login ends are told of, too: nobody else is there to notice. */
export function clientTrustEndings({ principals, authorities, revocations }: ClientTrust): Ending[] {
  const endings = (authorities?.certificates ?? []).map((certificate) => ({
    what: `the CA of client certificates, ${subjectOf(certificate)}`,
    endsMs: certificate.validToDate.getTime(),
    remedy: 'Renew it, for instance with: sealift cert renew ca. Until then none of its certificates counts.',
  }));
  if (revocations !== undefined && revocations.nextUpdateMs !== Infinity) {
    endings.push({
      what: 'the revocation list',
      endsMs: revocations.nextUpdateMs,
      remedy: 'Renew it: sealift cert renew. What it names stays revoked meanwhile.',
    });
  }
  for (const { name, expiresMs } of principals) {
    if (expiresMs === undefined) continue;
    const remedy = `Change expires of principals.${name} in the users file, or remove it there.`;
    endings.push({ what: `the login of ${name}`, endsMs: expiresMs, remedy });
  }
  return endings;
}

function subjectOf({ subject }: X509Certificate): string {
  return subject.replaceAll('\n', ', ');
}
