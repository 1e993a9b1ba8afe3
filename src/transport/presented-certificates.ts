import type { X509Certificate } from 'node:crypto';
import { DEFAULT_CIPHERS } from 'node:tls';

import { throwIfAborted } from '../clock.ts';
import { secured, unconnected, type DialOptions } from './dial.ts';
import { chainOf } from './peer.ts';

/** OpenSSL does not speak the old versions unless it is told that security does not matter. */
const ANY_VERSION = { minVersion: 'TLSv1', ciphers: `${DEFAULT_CIPHERS}:@SECLEVEL=0` } as const;

/**
 * The certificates that any TLS server presents, the leaf first, whatever it speaks: no protocol is asked for, nothing
 * is believed, and nothing is sent but the handshake. Rejects as `dial` does.
 */
export async function presentedCertificates(
  options: Pick<DialOptions, 'address' | 'clock' | 'signal'>,
): Promise<X509Certificate[]> {
  throwIfAborted(options.signal);
  const socket = unconnected({ ...options, tls: {} }, { ...ANY_VERSION, ALPNProtocols: [] });
  let leaf: X509Certificate | undefined;
  // A server that insists on a certificate of ours has shown its own before it ends the handshake.
  socket.once('error', () => (leaf = socket.getPeerX509Certificate()));
  try {
    await secured(socket, options);
    leaf = socket.getPeerX509Certificate();
  } catch (error) {
    if (leaf === undefined) throw error;
  } finally {
    socket.destroy();
  }
  return chainOf(leaf);
}
