import type { X509Certificate } from 'node:crypto';
import { domainToASCII } from 'node:url';

/** A subject alternative name as it is put into a certificate. */
export type AlternativeName = { type: 'dns' | 'ip'; value: string };

/**
 * How a host name or IP address is written in a certificate; undefined if it is neither. Names are in lower case
 * and in ASCII, and may begin with `*.`. IPv6 addresses are in hexadecimal throughout, because the encoder below us
 * would misread `::ffff:1.2.3.4`.
 */
export function alternativeName(name: string): AlternativeName | undefined {
  if (IPV4.test(name)) return { type: 'ip', value: name };
  const url = `http://[${name}]`;
  if (name.includes(':'))
    return URL.canParse(url) ? { type: 'ip', value: new URL(url).hostname.slice(1, -1) } : undefined;
  const ascii = /^[ -~]*$/.test(name) ? name.toLowerCase() : domainToASCII(name);
  return ascii.length <= 253 && DNS_NAME.test(ascii) ? { type: 'dns', value: ascii } : undefined;
}

/** Whether a certificate can be made for `name`. */
export function isCertificateName(name: string): boolean {
  return alternativeName(name) !== undefined;
}

/**
 * Who a client certificate says it belongs to: its common names, and the DNS names and e-mail addresses among its
 * alternative names. Believe it only if a trusted authority signed the certificate.
 */
export function certificateNames(certificate: X509Certificate): string[] {
  const { CN: common } = certificate.toLegacyObject().subject as { CN?: string | string[] };
  const commonNames = common === undefined ? [] : [common].flat();
  return [...new Set([...commonNames, ...alternativeNames(certificate.subjectAltName ?? '')])];
}

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);
const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
// A last label of digits alone would be taken for an IPv4 address.
const DNS_NAME = new RegExp(`^(?:\\*\\.)?(?:${LABEL}\\.)*(?!\\d+$)${LABEL}$`);

// Node writes `DNS:a.example, email:b@c`, and puts a value that could be mistaken for more than one into quotes. Such
// a value is no name that anybody grants something to, so it is skipped, but as a whole.
function alternativeNames(text: string): string[] {
  const names: string[] = [];
  const entry = /(?:^|, )([A-Za-z ]+):(?:"(?:[^"\\]|\\.)*"|([^",]*))(?=, |$)/gy;
  for (const [, kind, value] of text.matchAll(entry)) {
    if ((kind === 'DNS' || kind === 'email') && value !== undefined && value !== '') names.push(value);
  }
  return names;
}
