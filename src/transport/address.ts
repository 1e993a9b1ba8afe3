/** Where a server listens: a TCP port of a host, or a Unix socket. */
export type Address = { host: string; port: number } | { path: string };

/** As people write it: `host:7433`, `[::1]:7433`, `unix:/run/sealift.sock`. */
export function formatAddress(address: Address): string {
  if ('path' in address) return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
