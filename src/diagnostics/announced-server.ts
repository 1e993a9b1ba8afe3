import { isNetwork } from '../transport/address-list.ts';
import { isPin } from '../trust/pins.ts';

/** What a server says of itself on the local network. Nothing in it is proven: anybody there may say it. */
export interface AnnouncedServer {
  /** By which people know it: the name of its machine. */
  name: string;
  /** As in `fileserver.local`. */
  host: string;
  port: number;
  addresses: readonly string[];
  /** Of its key; undefined: it said none, or none that is one. */
  pin: string | undefined;
  /** Of the program; undefined: it said none. */
  version: string | undefined;
}

/** The same as it arrived, before anybody looked at it. */
export interface ClaimedServer {
  name: unknown;
  host: unknown;
  port: unknown;
  addresses: readonly unknown[];
  pin: unknown;
  version: unknown;
}

const MAX_NAME_CHARACTERS = 255;
const MAX_ADDRESSES = 32;

/** Looks at what somebody claims; undefined where it could not be connected to. */
export function announcedServer({
  name,
  host,
  port,
  addresses,
  pin,
  version,
}: ClaimedServer): AnnouncedServer | undefined {
  if (!isName(name) || !isName(host)) return undefined;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  return {
    name,
    host,
    port,
    addresses: addresses.filter(isAddress).slice(0, MAX_ADDRESSES),
    pin: typeof pin === 'string' && isPin(pin) ? pin : undefined,
    version: isName(version) ? version : undefined,
  };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_NAME_CHARACTERS;
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('/') && isNetwork(value);
}
