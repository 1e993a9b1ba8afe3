import { hostname } from 'node:os';

import type { Address } from '../transport/address.ts';

/** What a join line tells a client. */
export interface JoinInvitation {
  /** Where it reaches the server; an empty host stands for this machine. */
  address: Address;
  /** Of the server's key. */
  pin: string;
  code: string;
  /** Whether it is to ask for a certificate, too. */
  certificate?: boolean;
}

/** The line that is run on a client to join: a name of the user's choice has to be put into it. */
export function joinLine({ address, pin, code, certificate = false }: JoinInvitation): string {
  return `sealift remote add NAME '${urlOf(address)}?pin=${pin}&join=${code}${certificate ? '&certificate' : ''}'`;
}

function urlOf(address: Address): string {
  if ('path' in address) return `unix:${address.path}:`;
  const host = address.host === '' ? hostname() : address.host;
  return `sealift://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}
