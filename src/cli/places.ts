import { SealiftError } from '../errors.ts';
import { checkPath } from '../transfer/remote-path.ts';
import type { Address } from '../transport/address.ts';

/** A SOURCE or TARGET as it was written. */
export type PlaceText =
  | { kind: 'stdio' }
  | { kind: 'local'; path: string }
  | { kind: 'remote'; server: ServerText; path: string; hasTrailingSlash: boolean };

/** A server as it was written: an address, or a host whose port is told elsewhere, or the name of a saved remote. */
export type ServerText = { address: Address } | { name: string };

/**
 * Understands a SOURCE or TARGET: `host:path`, `[::1]:path`, `sealift://host:port/path`, `unix:/socket:path`,
 * `name:path` of a saved remote, `-`, or a local path (with a colon: `./a:b`). Throws `usage`.
 */
export function parsePlaceText(text: string): PlaceText {
  if (text === '-') return { kind: 'stdio' };
  const remote = parseRemote(text);
  if (remote === undefined) return { kind: 'local', path: text };
  return { kind: 'remote', server: remote.server, ...remotePath(remote.path) };
}

/** Understands what must be a server: `host`, `host:port`, `sealift://host:port`, `unix:/socket` or a name. Throws `usage`. */
export function parseServerText(text: string): ServerText {
  // A socket first: it would be taken for a path on a host of that name.
  const isSocket = text.startsWith('unix:/') && !text.endsWith(':');
  const remote = (isSocket ? undefined : parseRemote(text)) ?? parseRemote(`${text}:`);
  const withPort = /^(\[[^\]]+\]|[^:/[\]]+):(\d+)$/.exec(text);
  if (withPort) return { address: { host: unbracketed(withPort[1] ?? ''), port: portOf(withPort[2] ?? '') } };
  if (remote === undefined)
    throw new SealiftError('usage', `${JSON.stringify(text)} names no server.`, {
      hint: 'Write host, host:port, sealift://host:port or the name of a saved remote.',
    });
  const { server, path } = remote;
  // What is meant for a port must not be taken for a path, which would examine, or trust, who listens on another port.
  if ('name' in server && path !== '' && !text.startsWith('sealift://'))
    throw new SealiftError('usage', `${JSON.stringify(path)} is no port: 1 to 65535.`, {
      hint: 'Write host:port with a number, and an IPv6 address in brackets: [::1]:port.',
    });
  return server;
}

/** The operands of `put` and `get`: the last is the target. Throws `usage`. */
export function sourcesAndTarget(places: readonly string[]): { sources: string[]; target: string } {
  const target = places.at(-1);
  if (target === undefined || places.length < 2)
    throw new SealiftError('usage', 'A source and a target are needed.');
  return { sources: places.slice(0, -1), target };
}

/** Throws `usage` for several sources whose target is neither a directory nor written as one. */
export function assertOneSource(sources: readonly unknown[], target: string): void {
  if (sources.length <= 1) return;
  throw new SealiftError('usage', `${target} is no directory, and several sources are to go there.`, {
    hint: `To make a directory of that name, write ${target}/.`,
  });
}

function parseRemote(text: string): { server: ServerText; path: string } | undefined {
  const url = /^sealift:\/\/(\[[^\]]+\]|[^/:?#]+)(?::(\d+))?(?:\/(.*))?$/s.exec(text);
  if (url) {
    const host = unbracketed(url[1] ?? '');
    return {
      server: url[2] === undefined ? { name: host } : { address: { host, port: portOf(url[2]) } },
      path: url[3] ?? '',
    };
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1];
  if (scheme !== undefined) {
    throw new SealiftError('usage', `${JSON.stringify(text)} is not of the form sealift://host:port/path.`);
  }
  const unix = /^unix:(\/[^:]*):(.*)$/s.exec(text);
  if (unix) return { server: { address: { path: unix[1] ?? '' } }, path: unix[2] ?? '' };
  if (text.startsWith('unix:')) {
    throw new SealiftError('usage', `${JSON.stringify(text)} is not of the form unix:/socket:path.`, {
      hint: 'A colon has to follow the path of the socket.',
    });
  }
  const named = /^(?:\[([^\]]+)\]|([^/:[]+)):(.*)$/s.exec(text);
  const host = named?.[1] ?? named?.[2];
  if (host === undefined) return undefined;
  if (host.includes('@')) {
    throw new SealiftError(
      'usage',
      `${JSON.stringify(host)} names a user, and a token or a certificate does that here.`,
      { hint: 'Write host:path.' },
    );
  }
  return { server: { name: host }, path: named?.[3] ?? '' };
}

// A leading slash is the same root, and a trailing one says "into this directory".
function remotePath(text: string): { path: string; hasTrailingSlash: boolean } {
  const hasTrailingSlash = text.endsWith('/');
  // Scripts write "$directory/$file": what is doubled or stays where it is means nothing else.
  const path = text
    .split('/')
    .filter((component) => component !== '' && component !== '.')
    .join('/');
  try {
    checkPath(path, { allowRoot: true });
  } catch (cause) {
    throw new SealiftError('usage', (cause as Error).message, { cause });
  }
  return { path, hasTrailingSlash };
}

function unbracketed(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

function portOf(text: string): number {
  const port = Number(text);
  if (port >= 1 && port <= 65_535) return port;
  throw new SealiftError('usage', `${text} is no port: 1 to 65535.`);
}
