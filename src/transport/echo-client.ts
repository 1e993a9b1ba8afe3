import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

import { throwIfAborted } from '../clock.ts';
import { isSealiftError, SealiftError } from '../errors.ts';
import { formatAddress } from './address.ts';
import { secured, unconnected, type DialOptions } from './dial.ts';
import { negotiatedGroup } from './negotiated-group.ts';
import { peerOf, type Peer } from './peer.ts';
import type { TlsVariation } from './tls-variation.ts';

export interface EchoDialOptions extends DialOptions {
  /** Undefined: no TLS, and nobody is judged. */
  variation: TlsVariation | undefined;
}

/** Connects to a server that need not be ours, with or without TLS. Rejects as `dial` does, and with what `verify` throws. */
export async function dialEcho(
  options: EchoDialOptions,
): Promise<{ socket: Socket; peer: Peer | undefined }> {
  const { address, variation, signal, verify } = options;
  throwIfAborted(signal);
  const socket =
    variation === undefined ? connect({ ...address, noDelay: true }) : unconnected(options, variation);
  try {
    await secured(socket, options, variation === undefined ? 'connect' : 'secureConnect');
    const peer = variation === undefined ? undefined : securedPeer(socket as TLSSocket);
    if (peer !== undefined) verify(peer);
    return { socket, peer };
  } catch (error) {
    socket.destroy();
    if (!isSealiftError(error, 'alpn-refused')) throw error;
    const offered = variation?.ALPNProtocols?.join(', ') ?? '';
    const message = `${formatAddress(address)} speaks TLS, but none of the protocols ${offered}.`;
    throw new SealiftError('alpn-refused', message, { cause: error });
  }
}

function securedPeer(socket: TLSSocket): Peer {
  const peer = peerOf(socket);
  return { ...peer, group: peer.group ?? negotiatedGroup(socket) };
}
