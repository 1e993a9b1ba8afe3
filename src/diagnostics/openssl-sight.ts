import { execFile } from 'node:child_process';

import { formatAddress } from '../transport/address.ts';
import { groupName } from '../transport/peer.ts';
import type { TlsProbeOptions } from '../transport/probe.ts';

/** What `openssl s_client` tells of a server, and Node does not. */
export interface OpensslSight {
  /** As in `X25519`; undefined if it was not told. */
  group: string | undefined;
  /** How the server proved that it has its key, as in `RSA-PSS SHA256`. */
  signature: string | undefined;
  /** Whether the server asks for a client certificate. */
  asksForCertificate: boolean;
  /** The names of the authorities that it accepts client certificates from; empty if it does not say. */
  clientAuthorities: string[];
}

/** Looks at a server through the program of that name; undefined where it is not installed, or got nowhere in time. */
export async function opensslSight(
  { address, servername, alpn, timeoutMs, signal }: TlsProbeOptions,
  program = 'openssl',
): Promise<OpensslSight | undefined> {
  const place = 'path' in address ? ['-unix', address.path] : ['-connect', formatAddress(address)];
  const name = servername === '' ? ['-noservername'] : ['-servername', servername];
  const protocols = alpn.length === 0 ? [] : ['-alpn', alpn.join(',')];
  const args = ['s_client', ...place, ...name, ...protocols, '-state', '-cipher', 'DEFAULT:@SECLEVEL=0'];
  const { promise, resolve } = Promise.withResolvers<string>();
  // It ends by itself when its input does, and with an exit code that says nothing of what it saw.
  const child = execFile(program, args, { timeout: timeoutMs, signal }, (_error, stdout, stderr) =>
    resolve(`${stderr}\n${stdout}`),
  );
  child.stdin?.on('error', () => undefined).end();
  return opensslFacts(await promise);
}

/** Reads what `openssl s_client -state` printed; undefined if it never saw a certificate. */
export function opensslFacts(text: string): OpensslSight | undefined {
  if (!text.includes('Server certificate\n')) return undefined;
  const line = (name: string) => new RegExp(`^${name}: (.+)$`, 'm').exec(text)?.[1];
  const type = line('Peer signature type');
  const digest = line('Peer signing digest');
  const temporary = line('Negotiated TLS1.3 group') ?? line('(?:Server|Peer) Temp Key');
  const named = /^Acceptable client certificate CA names\n((?:.*=.*\n)+)/m.exec(text)?.[1];
  return {
    group: temporary === undefined ? undefined : groupName(temporary.replace(/^ECDH, |, \d+ bits$/g, '')),
    signature: [type, digest].filter((part) => part !== undefined).join(' ') || undefined,
    asksForCertificate: /read server certificate request$/m.test(text),
    clientAuthorities: named?.trim().split('\n') ?? [],
  };
}
