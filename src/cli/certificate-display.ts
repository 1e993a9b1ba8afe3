import type { CertificateFacts } from '../trust/certificate-facts.ts';
import { printable } from './escape.ts';

/** A certificate for a person: a line for each fact, safe to be shown. */
export function certificateLines(facts: CertificateFacts): string[] {
  const { names, usage, daysLeft } = facts;
  return factLines({
    subject: facts.subject,
    names: names.join(', '),
    issuer: facts.issuer,
    serial: facts.serial,
    key: facts.key,
    usage: usage.join(', '),
    'not before': facts.notBefore,
    'not after': `${facts.notAfter} (${daysLeft < 0 ? 'expired' : `${daysLeft} days left`})`,
    sha256: facts.sha256,
    pin: facts.pin,
  });
}

/** A line for each fact, its name in front. */
export function factLines(facts: Readonly<Record<string, string>>): string[] {
  return Object.entries(facts).map(([name, value]) => `${name.padEnd(11)} ${printable(value)}`.trimEnd());
}
