import { ALPN_ID } from '../protocol/limits.ts';
import type { TlsSight } from '../transport/probe.ts';
import { finding, type Finding } from './findings.ts';
import type { OpensslSight } from './openssl-sight.ts';
import { complainsOfCertificate, isTurnedAway, type TlsHabits } from './tls-habits.ts';

/** What was seen of TLS. What could not be observed is null. */
export interface TlsReport {
  /** As in `TLSv1.3`. */
  version: string | null;
  cipher: string | null;
  group: string | null;
  postQuantum: boolean | null;
  /** How the server proved that it has its key, as in `ECDSA SHA256`. */
  signature: string | null;
  alpn: string | null;
  alpnEnforced: boolean | null;
  /** The name that was asked for. */
  servername: string | null;
  resumption: boolean | null;
  /** What it accepts besides, as in `TLSv1.2`. */
  olderVersions: string[] | null;
  clientCertificate: {
    requested: boolean | null;
    /** The names of the authorities whose client certificates it accepts. */
    authorities: string[] | null;
    /** Whether ours was accepted; null if there was none to be shown, or if that did not show. */
    accepted: boolean | null;
  };
}

/** All that is known of the TLS of a server. */
export interface TlsObservations {
  sight: TlsSight;
  habits?: TlsHabits | undefined;
  openssl?: OpensslSight | undefined;
  servername: string;
  /** The protocols that were offered. */
  offered: readonly string[];
  /** Whether a client certificate was at hand. */
  hasCertificate: boolean;
}

export function tlsReport(seen: TlsObservations): TlsReport {
  const { sight, habits, openssl, servername, hasCertificate } = seen;
  const group = sight.peer?.group ?? openssl?.group ?? null;
  const isRequested = isAskedFor(seen);
  return {
    version: sight.peer?.tlsVersion ?? null,
    cipher: sight.peer?.cipher ?? null,
    group,
    postQuantum: group === null ? null : isPostQuantum(group),
    signature: openssl?.signature ?? null,
    alpn: sight.peer?.alpn ?? null,
    alpnEnforced: habits?.alpnEnforced ?? null,
    servername: servername === '' ? null : servername,
    resumption: habits?.resumption ?? null,
    olderVersions: habits?.areVersionsTried === true ? habits.olderVersions : null,
    clientCertificate: {
      requested: isRequested,
      authorities: openssl?.clientAuthorities ?? null,
      accepted: hasCertificate && isRequested === true ? acceptance(sight) : null,
    },
  };
}

/** What is to be said of the TLS of a server. */
export function tlsFindings(seen: TlsObservations): Finding[] {
  const { sight, habits, offered } = seen;
  if (sight.peer === undefined) return [noTls(sight)];
  const { tlsVersion, alpn, group } = sight.peer;
  const findings = [
    ...certificateFinding(sight),
    ...versionFindings(tlsVersion, habits?.olderVersions ?? []),
  ];
  findings.push(...handshakeFindings(seen));
  if (group !== undefined && !isPostQuantum(group)) {
    findings.push(
      finding(
        'not-post-quantum',
        `The key exchange (${group}) is none that withstands a quantum computer.`,
        'Let the server offer X25519MLKEM768 (OpenSSL 3.5 or newer, Node 24).',
      ),
    );
  }
  // What was chosen shows when the handshake comes to its end.
  if (sight.isComplete && alpn === undefined && offered.length > 0)
    findings.push(
      finding(
        'no-alpn',
        `The server chose none of the protocols that were offered (${offered.join(', ')}).`,
        'Set the protocols of the server (ALPN), or name the one that it speaks: --alpn NAME.',
      ),
    );
  if (habits?.alpnEnforced === false)
    findings.push(
      finding(
        'alpn-not-enforced',
        'The server also accepts who offers no protocol (ALPN) or a wrong one, which lets one service be taken for another.',
        alpn === ALPN_ID
          ? 'Run it without --allow-no-alpn.'
          : 'Let the server turn down what it does not speak.',
      ),
    );
  if (habits?.resumption === true)
    findings.push(
      finding(
        'resumption',
        'The server resumes sessions: such a connection is set up without a new look at the certificates.',
        'Switch it off where that matters (nginx: ssl_session_tickets off; ssl_session_cache off).',
      ),
    );
  return findings;
}

/** The finding for who demands a client certificate and is shown none. */
export function certificateRequired(authorities: readonly string[]): Finding {
  return finding(
    'client-certificate-required',
    `The server demands a client certificate${ofAuthorities(authorities)}.`,
    'Show one that its authority issued: --cert FILE --key FILE (sealift cert issue client NAME).',
  );
}

/** The finding for who demands a client certificate and does not like ours. */
export function certificateRefused(why = 'it said no more'): Finding {
  return finding(
    'client-certificate-refused',
    `The server does not accept our client certificate: ${why.replace(/\.$/, '')}.`,
    'Show one that is valid and that an authority of the server issued: --cert FILE --key FILE.',
  );
}

/** The finding for who ends the handshake because of the protocol that was offered. */
export function protocolRefused(protocol: string): Finding {
  return finding(
    'alpn-refused',
    `The server speaks TLS, but does not take ${protocol} as the protocol (ALPN).`,
    'Name one that it speaks: --alpn NAME.',
  );
}

function noTls({ failure }: TlsSight): Finding {
  const message = failure?.message ?? 'The server ended the connection.';
  switch (failure?.code) {
    case 'alpn-refused':
      return protocolRefused('any of what was offered');
    case 'tls-refused':
      return refused(message);
    case 'connect-timeout':
    case 'connection-refused':
    case 'unreachable':
      return finding(
        'unreachable',
        message,
        'It could be reached just before: does it limit connections, or does a firewall?',
      );
    default:
      return finding(
        'not-tls',
        `TCP stands, but not TLS: ${message}`,
        'Is it the right port? What speaks TLS only after a greeting (STARTTLS) is not supported.',
      );
  }
}

function refused(message: string): Finding {
  return finding('tls-refused', message, 'Look at the versions, ciphers and groups that the server allows.');
}

/** Who shows no certificate could be anybody. */
function certificateFinding({ chain }: TlsSight): Finding[] {
  if (chain.length > 0) return [];
  return [
    finding('untrusted', 'The server shows no certificate.', 'Give it one: sealift cert issue server NAME.'),
  ];
}

/** What the server that has shown a certificate thought of us, by whether it went on. */
function handshakeFindings(seen: TlsObservations): Finding[] {
  const { sight, hasCertificate, openssl } = seen;
  const isAsked = isAskedFor(seen);
  const authorities = openssl?.clientAuthorities ?? [];
  const why = sight.failure?.message;
  if (isTurnedAway(sight)) {
    if (isAsked === true && !hasCertificate) return [certificateRequired(authorities)];
    if (isAsked !== false && hasCertificate) return [certificateRefused(why ?? 'it ended the connection')];
    if (!sight.isComplete) return [refused(why ?? 'The server ended the connection during the handshake.')];
  }
  if (isAsked !== true || hasCertificate) return [];
  const asks = `The server asks for a client certificate${ofAuthorities(authorities)}`;
  const goesOn = sight.isAccepted ? ', and goes on without' : '; whether it goes on without did not show';
  return [
    finding('client-certificate-requested', `${asks}${goesOn}.`, 'To show one: --cert FILE --key FILE.'),
  ];
}

function versionFindings(version: string, older: readonly string[]): Finding[] {
  const remedy =
    'Let the server speak TLS 1.3, and 1.2 at the oldest (nginx: ssl_protocols TLSv1.2 TLSv1.3; serve --min-tls).';
  if (version !== 'TLSv1.3')
    return [finding('old-version', `The server speaks ${spoken(version)} and nothing newer.`, remedy)];
  if (older.length === 0) return [];
  const isOutdated = older.some((each) => each !== 'TLSv1.2');
  const message = `The server also accepts ${older.map(spoken).join(', ')}.`;
  return [finding('old-version', message, remedy, isOutdated ? 'warning' : 'info')];
}

function spoken(version: string): string {
  return version === 'TLSv1' ? 'TLS 1.0' : version.replace('TLSv', 'TLS ');
}

/** Whether the server asks for a client certificate; null if that did not show. */
function isAskedFor({ sight, openssl }: TlsObservations): boolean | null {
  return complainsOfCertificate(sight.failure) || (openssl?.asksForCertificate ?? null);
}

/** Whether the server took the certificate that it was shown; null if that did not show. */
function acceptance(sight: TlsSight): boolean | null {
  if (sight.isAccepted) return true;
  return isTurnedAway(sight) ? false : null;
}

function isPostQuantum(group: string): boolean {
  return /mlkem|kyber/i.test(group);
}

function ofAuthorities(names: readonly string[]): string {
  return names.length === 0 ? '' : ` of ${names.join(' or ')}`;
}
