import type { ExpiringCertificate } from '../trust/expiring-certificates.ts';

/** What a person is told of a certificate that expires soon: whose it is, when, and what to do. */
export function expiryWarning({ whose, place, endsMs, daysLeft }: ExpiringCertificate): string {
  const day = new Date(endsMs).toISOString().slice(0, 10);
  const left = daysLeft === 0 ? 'within a day' : daysLeft === 1 ? 'in 1 day' : `in ${daysLeft} days`;
  const when = daysLeft < 0 ? `expired on ${day}` : `expires ${left}, on ${day}`;
  return whose === 'server'
    ? `The certificate of ${place} ${when}. Its operator has to renew it.`
    : `The client certificate for ${place} ${when}. Have it renewed by who issued it (sealift cert renew), or join again.`;
}
