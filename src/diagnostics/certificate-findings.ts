import type { X509Certificate } from 'node:crypto';

import type { Clock } from '../clock.ts';
import { certificateFacts, daysUntil, type CertificateFacts } from '../trust/certificate-facts.ts';
import { alternativeName } from '../trust/certificate-names.ts';
import { EXPIRING_DAYS } from '../trust/expiring-certificates.ts';
import { certificatePin } from '../trust/pins.ts';
import { isInOrder, isSame, trustPath, type TrustPath } from '../trust/trust-path.ts';
import { finding, type Finding, type FindingCode } from './findings.ts';
import { signatureAlgorithm } from './signature-algorithm.ts';

/** What a chain of certificates is judged by. */
export interface CertificateTrust {
  /** The name or address that was asked for. */
  host: string;
  roots: readonly X509Certificate[];
  /** Whether the user named an authority, rather than relying on those of this machine. */
  hasOwnAuthority: boolean;
  /** If there are any, they alone decide, and the rest is only told. */
  pins: readonly string[];
  /** Whether `sealift trust` can look at the server, as at those of Sealift alone, and is then believed. */
  isSealift: boolean;
  /** What `sealift trust` is to be given for the server, in words of a shell. */
  calledBy: string;
  clock: Clock;
}

/** A chain of certificates as it was sent, the leaf first. */
export type Chain = readonly [X509Certificate, ...X509Certificate[]];

/** All that is wrong with the certificates of a server, and which one is to blame. */
export function certificateFindings(chain: Chain, trust: CertificateTrust): Finding[] {
  const found = trustPath(chain, trust.roots, trust.clock);
  const [ofLeaf = [], ...ofOthers] = chain.map((certificate, index) =>
    ownFindings(certificate, index, found, trust),
  );
  const others = [
    ...ofOthers.flat(),
    ...unsentFindings(chain, found, trust),
    ...nameFindings(chain[0], trust),
    ...pathFindings(chain, found, trust),
  ];
  if (trust.pins.length === 0) return [...ofLeaf, ...others];
  return [
    ...pinFindings(chain[0], trust),
    // What weakens the key itself is no better for being pinned.
    ...ofLeaf.map((each) => (each.code === 'weak-key' ? each : decidedByPin(each))),
    ...others.map(decidedByPin),
  ];
}

/** The name in the certificate that stands for `host`; undefined if there is none. */
export function matchedName(certificate: X509Certificate, host: string): string | undefined {
  if (alternativeName(host)?.type === 'ip') return certificate.checkIP(host);
  return host === '' ? undefined : certificate.checkHost(host);
}

function pinFindings(leaf: X509Certificate, { pins, isSealift, calledBy }: CertificateTrust): Finding[] {
  const pin = certificatePin(leaf);
  if (pins.includes(pin)) return [];
  return [
    finding(
      'pin-mismatch',
      `The server shows the key ${pin}, and trusted is ${pins.join(', ')}.`,
      `Ask its operator; if the key is really new: ${isSealift ? `sealift trust --replace ${calledBy}` : `--pin ${pin}`}`,
    ),
  ];
}

function decidedByPin(found: Finding): Finding {
  if (found.severity !== 'error') return found;
  return {
    ...found,
    severity: 'info',
    remedy: 'Nothing has to be mended for those who pin the key, as is done here.',
  };
}

/** What is wrong with one of those that were sent, by itself. One that is not on the way to who is trusted is in nobody's way. */
function ownFindings(
  certificate: X509Certificate,
  index: number,
  { path }: TrustPath,
  trust: CertificateTrust,
): Finding[] {
  const isNeeded = path.some((each) => isSame(each, certificate));
  const whose = isNeeded
    ? called(certificate, index)
    : `A certificate that is sent without need (${oneName(certificate.subject)})`;
  const renew = index === 0 ? RENEW : `Its authority has to renew it: have ${issuerOf(certificate)} asked.`;
  const findings = [
    ...dateFindings(certificate, whose, renew, trust),
    ...strengthFindings(certificate, whose, trust),
  ];
  if (isNeeded) return findings;
  return findings.map((each) => ({ ...each, severity: 'warning', remedy: LEAVE_OUT }));
}

/** Who is trusted need not be sent, and has to be strong all the same. */
function unsentFindings(chain: Chain, { path }: TrustPath, trust: CertificateTrust): Finding[] {
  const unsent = path.filter((each) => !chain.some((sent) => isSame(sent, each)));
  return unsent.flatMap((each) => strengthFindings(each, called(each, chain.length), trust));
}

function dateFindings(
  { validFromDate, validToDate }: X509Certificate,
  whose: string,
  renew: string,
  { clock }: CertificateTrust,
): Finding[] {
  if (validToDate.getTime() < clock.now())
    return [finding('expired', `${whose} expired on ${validToDate.toISOString()}.`, renew)];
  if (validFromDate.getTime() > clock.now()) {
    return [
      finding(
        'not-yet-valid',
        `${whose} is valid only from ${validFromDate.toISOString()} on.`,
        'Set the clocks of both machines (timedatectl), or wait.',
      ),
    ];
  }
  const days = daysUntil(validToDate.getTime(), clock);
  if (days >= EXPIRING_DAYS) return [];
  return [
    finding(
      'expires-soon',
      `${whose} expires ${days === 0 ? 'within a day' : `in ${days} days`}, on ${validToDate.toISOString()}.`,
      renew,
    ),
  ];
}

const LEAVE_OUT =
  'Take it out of the certificate file of the server, unless some clients trust nobody but who issued it.';
const RENEW = 'Its operator has to renew it: sealift cert renew, or certbot renew.';

function nameFindings(leaf: X509Certificate, { host, clock }: CertificateTrust): Finding[] {
  const { names, subject, usage } = certificateFacts(leaf, clock);
  const findings: Finding[] = [];
  if (host !== '' && matchedName(leaf, host) === undefined) {
    findings.push(
      finding(
        'wrong-name',
        `The certificate is not for ${host}, but for ${names.join(', ') || `no name at all (${subject})`}.`,
        `Use one of its names (--servername), or have it issued for this one: sealift cert issue server ${host}.`,
      ),
    );
  }
  if (isOldFashioned(leaf, host)) {
    findings.push(
      finding(
        'old-name',
        `The certificate stands for ${host} in a way that many clients do not accept: only by its common name, or by a part of a label (RFC 9525, 6.3).`,
        `Have it issued for the whole name: sealift cert issue server ${host}.`,
      ),
    );
  }
  const extended = usage.filter((each) => each !== 'authority');
  if (extended.length > 0 && !extended.includes('server') && !extended.includes(ANY_USAGE)) {
    findings.push(
      finding(
        'wrong-usage',
        `The certificate is not meant for servers, but for ${extended.join(', ')}.`,
        'Have one issued for a server: sealift cert issue server NAME.',
      ),
    );
  }
  return findings;
}

/** Whether only the rules of old let a certificate stand for `host`. */
function isOldFashioned(leaf: X509Certificate, host: string): boolean {
  if (matchedName(leaf, host) === undefined || alternativeName(host)?.type === 'ip') return false;
  return leaf.checkHost(host, { subject: 'never', partialWildcards: false }) === undefined;
}

const ANY_USAGE = '2.5.29.37.0';

function pathFindings(
  chain: Chain,
  { state, path }: TrustPath,
  { hasOwnAuthority, isSealift, calledBy }: CertificateTrust,
): Finding[] {
  const pinned = `--pin ${certificatePin(chain[0])}`;
  const trustKey = isSealift ? `sealift trust ${calledBy}` : pinned;
  const order = isInOrder(chain)
    ? []
    : [
        finding(
          'chain-order',
          'The certificates are not sent in order: each has to stand before the one that issued it.',
          'Put the leaf first into the file of the server, then what issued it, and so on.',
        ),
      ];
  const last = path.at(-1) ?? chain[0];
  if (state === 'trusted') return order;
  if (state === 'self-signed' && path.length === 1) {
    return [
      finding(
        'self-signed',
        `${called(chain[0], 0)} vouches for itself, and no authority here knows it.`,
        `Compare its pin with what the operator says, then: ${trustKey}, or ${isSealift ? '--pin; elsewhere ' : ''}--ca with the certificate itself.`,
      ),
    ];
  }
  if (state === 'self-signed')
    return [
      unknownAuthority(`The chain ends at ${oneName(last.subject)}, which nobody here trusts.`, trustKey),
      ...order,
    ];
  return [...brokenPath(chain, last, { hasOwnAuthority, trustKey }), ...order];
}

/**
 * Who issued `last` is unknown here and was not sent. That it should have been sent is sure where the certificate says
 * where to fetch it; where the user named the authority it is one of two causes, and both are told.
 */
function brokenPath(
  chain: Chain,
  last: X509Certificate,
  { hasOwnAuthority, trustKey }: { hasOwnAuthority: boolean; trustKey: string },
): Finding[] {
  const culprit = called(last, chain.indexOf(last));
  const isPublished = last.infoAccess?.includes('CA Issuers') === true;
  const findings: Finding[] = [];
  if (isPublished || hasOwnAuthority) {
    findings.push(
      finding(
        'missing-intermediate',
        `${culprit} was issued by ${issuerOf(last)}, whose certificate the server does not send.`,
        'Append it to the certificate file of the server (leaf first, then what issued it; nginx: ssl_certificate).',
      ),
    );
  }
  if (!isPublished) {
    findings.push(
      unknownAuthority(
        `${culprit} was issued by ${issuerOf(last)}, which ${hasOwnAuthority ? '--ca does not hold' : 'nobody here trusts'}.`,
        trustKey,
      ),
    );
  }
  return findings;
}

function unknownAuthority(message: string, trustKey: string): Finding {
  return finding(
    'unknown-ca',
    message,
    `Give the certificate of its authority with --ca FILE, or trust this key: ${trustKey}`,
  );
}

const MIN_RSA_BITS = 2_048;
const WEAK_HASHES = /^(?:md[245]|sha1)|with-?(?:md[245]|sha1)(?!\d)/i;

function strengthFindings(
  certificate: X509Certificate,
  whose: string,
  { roots }: CertificateTrust,
): Finding[] {
  const findings: Finding[] = [];
  const key = weakness(certificate);
  if (key !== undefined)
    findings.push(strength('weak-key', `${whose} has a key of ${key}, which can be broken.`));
  const algorithm = signatureAlgorithm(certificate) ?? '';
  // Nobody looks at the signature of who is trusted anyway.
  const isRoot = roots.some((root) => isSame(root, certificate));
  const isOwnIssuer = certificate.subject === certificate.issuer;
  if (!isRoot && !isOwnIssuer && WEAK_HASHES.test(algorithm))
    findings.push(strength('weak-signature', `${whose} is signed with ${algorithm}, which can be forged.`));
  return findings;
}

function strength(code: FindingCode, message: string): Finding {
  return finding(
    code,
    message,
    'Have it issued anew for a key of EC P-256 or RSA 2048 and more, signed with SHA-256: sealift cert issue server NAME.',
  );
}

/** The key of a certificate, if it is too short. */
function weakness({ publicKey }: X509Certificate): string | undefined {
  const { asymmetricKeyType: type = '', asymmetricKeyDetails: { modulusLength, namedCurve } = {} } =
    publicKey;
  if (type.startsWith('rsa') && modulusLength !== undefined && modulusLength < MIN_RSA_BITS)
    return `RSA ${modulusLength}`;
  if (type === 'dsa') return 'DSA';
  const curveBits = Number(/(\d{3})/.exec(namedCurve ?? '')?.[1] ?? Infinity);
  return curveBits < MIN_CURVE_BITS ? `EC ${namedCurve}` : undefined;
}

const MIN_CURVE_BITS = 224;

function called({ subject }: X509Certificate, index: number): string {
  return `The certificate of ${index <= 0 ? 'the server' : 'its authority'} (${oneName(subject)})`;
}

function issuerOf({ issuer }: X509Certificate): string {
  return oneName(issuer);
}

function oneName(name: CertificateFacts['subject'] | undefined): string {
  return (name ?? '').split('\n').join(', ') || '(no name)';
}
