import type { X509Certificate } from 'node:crypto';
import { domainToASCII } from 'node:url';

import { SealiftError } from '../errors.ts';
import { commonNames } from '../transport/common-names.ts';

/** A subject alternative name as it is put into a certificate. */
export type AlternativeName = { type: 'dns' | 'ip'; value: string };

/**
 * How a host name or IP address is written in a certificate; undefined if it is neither. Names are in lower case
 * and in ASCII, and may begin with `*.`. IPv6 addresses are in hexadecimal throughout, because the encoder below us
 * would misread `::ffff:1.2.3.4`.
 */
export function alternativeName(name: string): AlternativeName | undefined {
  // What would be left out on the way to ASCII without a word.
  if (/[\p{Cc}\s]/u.test(name)) return undefined;
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

/** The names of a server certificate, in their written form. Throws `invalid-argument` if one is none, or if there are none. */
export function serverNames(names: readonly string[]): [AlternativeName, ...AlternativeName[]] {
  const [first, ...others] = names.map((name) => {
    const alternative = alternativeName(name);
    if (alternative) return alternative;
    throw new SealiftError('invalid-argument', `${JSON.stringify(name)} is no host name and no IP address.`);
  });
  if (first) return [first, ...others];
  throw new SealiftError('invalid-argument', 'A server certificate needs at least one name.');
}

/** The common name of a certificate for `name`: that name, unless it is longer than X.520 allows, in characters. It stands among the alternative names anyway. */
export function commonName({ value }: AlternativeName): string {
  return value.length <= MAX_COMMON_NAME ? value : 'sealift';
}

/** Whether `text` can be a common name: what X.520 allows, and a person can read. */
export function isCommonName(text: string): boolean {
  return text.trim() === text && /^[^\p{C}]+$/u.test(text) && text.length <= MAX_COMMON_NAME;
}

/**
 * Who a client certificate says it belongs to: its common names, and the DNS names and e-mail addresses among its
 * alternative names. Believe it only if a trusted authority signed the certificate.
 */
export function certificateNames(certificate: X509Certificate): string[] {
  const others = alternativeNames(certificate)
    .filter(({ kind }) => kind === 'DNS' || kind === 'email')
    .map(({ value }) => value);
  return [...new Set([...commonNames(certificate), ...others])];
}

/**
 * The alternative names of a certificate: their kind as OpenSSL calls it (`DNS`, `IP Address`, `email`, `URI`, …), and
 * their value. Node puts a value that could be mistaken for more than one name into quotes. Such a value is no name
 * that anybody grants something to, so it is skipped, but as a whole.
 */
export function alternativeNames({
  subjectAltName = '',
}: X509Certificate): { kind: string; value: string }[] {
  const entry = /(?:^|, )([A-Za-z ]+):(?:"(?:[^"\\]|\\.)*"|([^",]*))(?=, |$)/gy;
  return [...subjectAltName.matchAll(entry)].flatMap(([, kind = '', value = '']) =>
    value === '' ? [] : [{ kind, value }],
  );
}

/** By X.520, in characters. */
const MAX_COMMON_NAME = 64;
const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);
const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
// A last label of digits alone would be taken for an IPv4 address.
const DNS_NAME = new RegExp(`^(?:\\*\\.)?(?:${LABEL}\\.)*(?!\\d+$)${LABEL}$`);
