import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { systemClock } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { DEFAULT_PORT } from '../protocol/limits.ts';
import { formatAddress } from '../transport/address.ts';
import { certificateFacts, daysUntil } from '../trust/certificate-facts.ts';
import { parseCrls, type Crl } from '../trust/crl.ts';
import { certificatesIn } from '../trust/pem.ts';
import { certificateLines, endText, factLines } from './certificate-display.ts';
import { EXIT } from './exit-codes.ts';
import { parseServerText } from './places.ts';
import type { RunContext } from './run-context.ts';
import type { Terminal } from './terminal.ts';

/** `sealift cert show FILE`, `sealift cert show HOST:PORT` */
export async function showCertificates(context: RunContext, [place]: unknown[]): Promise<number> {
  const { terminal } = context;
  const text = String(place);
  const bytes = await bytesOf(text);
  if (bytes?.includes('-----BEGIN X509 CRL') === true) {
    for (const crl of parseCrls(bytes.toString('latin1'), text)) showCrl(terminal, crl);
    return EXIT.done;
  }
  const certificates = bytes === undefined ? await presentedBy(context, text) : parsed(bytes, text);
  const facts = certificates.map((certificate) => certificateFacts(certificate, systemClock));
  const [first, ...chain] = facts;
  terminal.event('certificate', { certificate: { ...first, chain } });
  if (!terminal.options.json)
    terminal.data(facts.map((each) => certificateLines(each).join('\n')).join('\n\n'));
  return EXIT.done;
}

/** The content of a file; undefined if there is none, and a server may be meant. Throws `local-not-found` if it cannot be. */
async function bytesOf(place: string): Promise<Buffer | undefined> {
  try {
    return await readFile(place);
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT' && SERVER.test(place)) return undefined;
    throw new SealiftError(
      'local-not-found',
      `${place} cannot be read (${systemCode(cause) ?? String(cause)}).`,
      {
        cause,
        hint: 'Give a file that exists, or HOST:PORT of a server.',
      },
    );
  }
}

const SERVER = /:\d+$|^sealift:\/\//;

function parsed(bytes: Buffer, file: string): X509Certificate[] {
  if (bytes[0] !== DER_SEQUENCE) return certificatesIn(bytes.toString('latin1'), file);
  try {
    return [new X509Certificate(bytes)];
  } catch (cause) {
    throw new SealiftError('bad-configuration', `${file} holds no certificate, neither in PEM nor in DER.`, {
      cause,
    });
  }
}

const DER_SEQUENCE = 0x30;

async function presentedBy({ signal }: RunContext, place: string): Promise<X509Certificate[]> {
  const server = parseServerText(place);
  const address = 'address' in server ? server.address : { host: server.name, port: DEFAULT_PORT };
  const { presentedCertificates } = await import('../transport/presented-certificates.ts');
  const certificates = await presentedCertificates({ address, clock: systemClock, signal });
  if (certificates.length > 0) return certificates;
  throw new SealiftError('certificate-untrusted', `${formatAddress(address)} presented no certificate.`);
}

function showCrl(terminal: Terminal, { number, thisUpdateMs, nextUpdateMs, revoked }: Crl): void {
  const thisUpdate = isoText(thisUpdateMs);
  const next = Number.isFinite(nextUpdateMs)
    ? { nextUpdate: isoText(nextUpdateMs), daysLeft: daysUntil(nextUpdateMs, systemClock) }
    : undefined;
  const entries = revoked.map(({ serial, revokedMs }) => ({ serial, date: isoText(revokedMs) }));
  const jsonNumber = number === undefined ? undefined : Number(number);
  terminal.event('crl', { crl: { number: jsonNumber, thisUpdate, ...next, revoked: entries } });
  if (terminal.options.json) return;
  const lines = factLines({
    'crl number': String(number ?? 'none'),
    'this update': thisUpdate,
    'next update': next ? endText(next.nextUpdate, next.daysLeft, 'overdue') : 'not said',
    revoked: String(revoked.length),
  });
  terminal.data([...lines, ...entries.map(({ serial, date }) => `  ${serial} ${date}`)].join('\n'));
}

function isoText(ms: number): string {
  return new Date(ms).toISOString();
}
