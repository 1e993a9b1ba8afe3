import { SealiftError } from '../errors.ts';
import { DEFAULT_PORT } from '../protocol/limits.ts';
import { formatAddress } from '../transport/address.ts';
import { parsePort } from '../units.ts';

/** A TCP or UDP port of a host; an empty host is all addresses. */
export interface HostPort {
  host: string;
  port: number;
}

/** Where servers of the toolbox listen unless told otherwise. */
export const ANYWHERE: HostPort = { host: '', port: DEFAULT_PORT };

/** Understands `HOST:PORT`, `[::1]:PORT` and `:PORT`, which is all addresses; port 0 is any that is free. Throws `usage`. */
export function parseListenAddress(text: string): HostPort {
  const match = /^(?:\[([^\]\s]+)\]|([^\s:[\]/]*)):(\d+)$/.exec(text);
  if (match === null) {
    throw new SealiftError('usage', `${JSON.stringify(text)} is no place to listen.`, {
      hint: 'Write HOST:PORT, or :PORT for all addresses.',
    });
  }
  return { host: match[1] ?? match[2] ?? '', port: parsePort(match[3] ?? '', 0) };
}

/** A place to listen, for people. */
export function listenText(address: HostPort): string {
  return address.host === '' ? `all addresses, port ${address.port}` : formatAddress(address);
}
