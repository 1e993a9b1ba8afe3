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
    'not after': endText(facts.notAfter, daysLeft, 'expired'),
    sha256: facts.sha256,
    pin: facts.pin,
  });
}

/** A line for each fact, its name in front. */
export function factLines(facts: Readonly<Record<string, string>>): string[] {
  return Object.entries(facts).map(([name, value]) => `${name.padEnd(11)} ${printable(value)}`.trimEnd());
}

/** When something ends, and how many days are left; `over` says that there are none. */
export function endText(end: string, daysLeft: number, over: string): string {
  return `${end} (${daysLeft < 0 ? over : `${daysLeft} days left`})`;
}
