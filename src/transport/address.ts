import { domainToASCII } from 'node:url';

/** Where a server listens: a TCP port of a host, or a Unix socket. */
export type Address = { host: string; port: number } | { path: string };

/**
 * The one written form of an address, for people, files and comparison: `host:7433`, `[::1]:7433` or `unix:/path`.
 * Host names are in lower case without a final dot, IPv6 addresses in their shortest form. White space, control
 * characters and `%` of a path are percent-encoded, so that the form has no space in it.
 */
export function formatAddress(address: Address): string {
  if ('path' in address) return `unix:${address.path.replace(UNSAFE_IN_PATH, encodeURIComponent)}`;
  const host = canonicalHost(address.host);
  return host.includes(':') ? `[${host}]:${address.port}` : `${host}:${address.port}`;
}

/** Reads the written form, also where it is not quite canonical; undefined if it is none. */
export function parseAddress(text: string): Address | undefined {
  if (text.startsWith('unix:')) return parseSocket(text.slice('unix:'.length));
  const match = /^(?:\[([0-9A-Fa-f:.]+(?:%[^\s\]]+)?)\]|([^\s:[\]%/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  if (match?.[1] !== undefined && !host.includes(':')) return undefined;
  return { host: canonicalHost(host), port };
}

/** A host name as TLS has it, in certificates and where one is asked for (RFC 6066, 3): in ASCII, without a final dot. */
export function tlsName(host: string): string {
  // What can be no name stays as it is, for whoever refuses it.
  const ascii = /[^ -~]/.test(host) ? domainToASCII(host) || host : host;
  return ascii.replace(/\.$/, '');
}

// eslint-disable-next-line no-control-regex -- these are the characters that must not stand there
const UNSAFE_IN_PATH = /[\s%\u0000-\u001f\u007f-\u009f]/gu;

function parseSocket(encoded: string): Address | undefined {
  try {
    const path = decodeURIComponent(encoded);
    return path.startsWith('/') && !path.includes('\0') ? { path } : undefined;
  } catch {
    return undefined;
  }
}

function canonicalHost(host: string): string {
  if (!host.includes(':')) return host.toLowerCase().replace(/\.$/, '');
  const [address = '', zone] = host.split('%', 2);
  const url = `http://[${address}]`;
  const shortest = URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : address.toLowerCase();
  return zone === undefined ? shortest : `${shortest}%${zone}`;
}
