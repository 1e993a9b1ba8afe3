import type { X509Certificate } from 'node:crypto';
import { isIPv6, type Socket } from 'node:net';
import type { Server as TlsServer, TLSSocket } from 'node:tls';

/** What the TLS layer knows of the other side of a connection. */
export interface Peer {
  /** As in `203.0.113.5` or `::1` (an IPv4 address is one, also on a socket for both); empty for a Unix socket. */
  address: string;
  port: number;
  /** `TLSv1.3` */
  tlsVersion: string;
  /** The cipher suite by its standard name, as in `TLS_AES_256_GCM_SHA384`. */
  cipher: string;
  /** The key-exchange group by its name in TLS, as in `X25519MLKEM768` or `secp256r1`; only clients are told. */
  group?: string | undefined;
  alpn: string | undefined;
  /** The leaf that the peer presented, if any; `chainOf` tells what it sent behind it. */
  certificate: X509Certificate | undefined;
  /** Why the certificate is not accepted by the CAs here, as OpenSSL or Node name it; undefined if it is. */
  certificateProblem: string | undefined;
  /** A resumed session proves nothing about the peer anew, and is never accepted here. */
  isResumed: boolean;
}

/** Reads a secured socket. `certificate` is the one that was presented, if it was read before. */
export function peerOf(socket: TLSSocket, certificate = socket.getPeerX509Certificate()): Peer {
  const problem = socket.authorizationError as Error | string | null | undefined;
  return {
    address: plainAddress(socket.remoteAddress),
    port: socket.remotePort ?? 0,
    tlsVersion: socket.getProtocol() ?? '',
    cipher: socket.getCipher().standardName,
    group: groupOf(socket),
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
    certificate,
    certificateProblem: socket.authorized
      ? undefined
      : problem instanceof Error
        ? problem.message
        : (problem ?? 'no certificate'),
    isResumed: socket.isSessionReused(),
  };
}

/** A leaf and all that was sent behind it, each once, in that order: not all of it need vouch for the leaf. The last one may have issued itself. */
export function chainOf(leaf: X509Certificate | undefined): X509Certificate[] {
  const chain = new Map<string, X509Certificate>();
  for (let next = leaf; next !== undefined; next = next.issuerCertificate)
    chain.set(next.fingerprint256, next);
  return [...chain.values()];
}

/** The key-exchange group of a client's socket; undefined on a server's, and where Node does not tell. */
function groupOf(socket: TLSSocket): string | undefined {
  const { name } = (socket.getEphemeralKeyInfo() ?? {}) as { name?: string };
  return name === undefined ? undefined : groupName(name);
}

/** A key-exchange group by its name in TLS (RFC 8446, 4.2.7), given the one that OpenSSL has for it. */
export function groupName(name: string): string {
  return name === 'prime256v1' ? 'secp256r1' : name;
}

/** An address as it is logged and counted: `::ffff:203.0.113.5`, as a socket for both families tells it, is `203.0.113.5`. */
export function plainAddress(address: string | undefined): string {
  return address?.replace(/^::ffff:(?=\d+\.)/, '') ?? '';
}

/** Remembers from where the connections of `server` come from now on: one that was reset does not tell it any more. */
export function addressesOf(server: TlsServer): (socket: TLSSocket) => string {
  const addresses = new WeakMap<Socket, string>();
  server.prependListener('connection', (socket: Socket) =>
    addresses.set(socket, plainAddress(socket.remoteAddress)),
  );
  return (socket) => {
    const before = beneath(socket);
    return (before && addresses.get(before)) ?? '';
  };
}

/** The socket that TLS was set up on, by the name that Node alone uses for it. */
export function beneath(socket: Socket): Socket | undefined {
  return (socket as { _parent?: Socket | null })._parent ?? undefined;
}

/** By what an address is counted: an IPv6 network of 64 bits is one customer's, who may use any address in it. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : new Array<string>(8 - groups.length - rest.length).fill('0');
  return `${[...groups, ...zeros, ...rest].slice(0, 4).join(':')}::/64`;
}
