import { systemClock } from '../clock.ts';
import type { EchoConnection } from '../transport/echo-server.ts';
import { formatAddress } from '../transport/address.ts';
import type { Peer } from '../transport/peer.ts';
import { certificateFacts } from '../trust/certificate-facts.ts';
import { printable } from './escape.ts';

/** What there is to know of TLS with a peer, for programs; null is none, or not observed. */
export function tlsFields(peer: Peer & { servername?: string | undefined }): Record<string, unknown> {
  const { tlsVersion, cipher, group, alpn, servername, certificate, certificateProblem, isResumed } = peer;
  const facts = certificate && certificateFacts(certificate, systemClock);
  return {
    tlsVersion,
    cipher,
    group: group ?? null,
    alpn: alpn ?? null,
    servername: servername ?? null,
    resumed: isResumed,
    certificate:
      facts === undefined
        ? null
        : {
            subject: facts.subject,
            pin: facts.pin,
            accepted: certificateProblem === undefined,
            problem: certificateProblem ?? null,
          },
  };
}

/** A line for a client of an echo server. */
export function connectionText({ number, address, port, tls }: EchoConnection): string {
  const from = address === '' ? 'a client of this machine' : formatAddress({ host: address, port });
  if (tls === undefined) return `#${number} ${from} connected`;
  return `#${number} ${from} ${tlsText(tls)} sni=${printable(tls.servername ?? '-')} client=${clientText(tls)}`;
}

/** Version, cipher, group and ALPN in one line. */
export function tlsText({ tlsVersion, cipher, group, alpn, isResumed }: Peer): string {
  const resumed = isResumed ? ' resumed' : '';
  return `${tlsVersion} ${cipher} ${group ?? 'no group'} alpn=${printable(alpn ?? '-')}${resumed}`;
}

function clientText({ certificate, certificateProblem }: Peer): string {
  if (certificate === undefined) return '-';
  const { subject } = certificateFacts(certificate, systemClock);
  return `${printable(subject)} (${certificateProblem === undefined ? 'accepted' : `not accepted: ${certificateProblem}`})`;
}
