import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

import { AddressList } from './address-list.ts';

/** An IPv4 network that this machine is in. */
export interface LocalNetwork {
  /** Of this machine in it. */
  address: string;
  /** In the notation of RFC 4632, as in `192.0.2.5/24`. */
  cidr: string;
  /** What reaches everybody in it. */
  broadcast: string;
  /** All addresses of the same interface that others can use: those with a zone make no sense elsewhere. */
  addresses: readonly string[];
}

/** Those in which a server can be reached that listens on `host`: all of them if that is empty or no particular address. */
export function localNetworks(host = ''): LocalNetwork[] {
  const isParticular = isIP(host) !== 0 && !['0.0.0.0', '::'].includes(host);
  return Object.values(networkInterfaces())
    .flatMap((entries = []) => {
      const addresses = entries.map(({ address }) => address).filter((address) => !LINK_LOCAL.has(address));
      return entries.flatMap(({ family, address, netmask, cidr }) =>
        family !== 'IPv4' || cidr === null
          ? []
          : [{ address, cidr, broadcast: broadcastOf(address, netmask), addresses }],
      );
    })
    .filter(({ addresses }) => !isParticular || addresses.includes(host))
    .map((network) => (isParticular ? { ...network, addresses: [host] } : network));
}

/** Whether `address` is in `network`. */
export function isNeighbour(address: string, { cidr }: LocalNetwork): boolean {
  return new AddressList([cidr]).has(address);
}

function broadcastOf(address: string, netmask: string): string {
  const mask = netmask.split('.').map(Number);
  return address
    .split('.')
    .map((part, index) => Number(part) | (~(mask[index] ?? 255) & 255))
    .join('.');
}

const LINK_LOCAL = new AddressList(['fe80::/10']);
