import { BlockList, isIP } from 'node:net';

/** IP addresses and networks, as in `203.0.113.5`, `10.0.0.0/8` and `2001:db8::/32`. */
export class AddressList {
  /** As they were written. */
  readonly networks: readonly string[];
  readonly #list = new BlockList();

  /** Throws `RangeError` for what `isNetwork` does not accept. */
  constructor(networks: readonly string[]) {
    this.networks = networks;
    for (const network of networks) {
      const { address, prefix, family } = parsed(network) ?? {};
      if (address === undefined) throw new RangeError(`${network} is no network.`);
      this.#list.addSubnet(address, prefix as number, family as 'ipv4' | 'ipv6');
    }
  }

  /** Whether `address` is in one of them. What is no IP address (the peer of a Unix socket has none) is in none. */
  has(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#list.check(address, version === 6 ? 'ipv6' : 'ipv4');
  }
}

/** Whether `text` is an IP address, or a network in the notation of RFC 4632 (CIDR). */
export function isNetwork(text: string): boolean {
  return parsed(text) !== undefined;
}

function parsed(text: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [, address = '', digits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) return undefined;
  const longest = version === 6 ? 128 : 32;
  const prefix = digits === undefined ? longest : Number(digits);
  return prefix <= longest ? { address, prefix, family: version === 6 ? 'ipv6' : 'ipv4' } : undefined;
}
