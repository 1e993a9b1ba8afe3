import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { SealiftError } from '../errors.ts';
import { DEFAULT_PORT } from '../protocol/limits.ts';
import { listeningServer, type ListeningServer } from '../server/listening-file.ts';
import { statePaths } from '../server/state-paths.ts';
import type { Address } from '../transport/address.ts';
import { certificatesIn } from '../trust/pem.ts';
import { certificatePin } from '../trust/pins.ts';
import { readPrivateFile } from '../trust/private-file.ts';
import { parseServerText } from './places.ts';
import { readText } from './run-context.ts';
import type { Settings } from './settings.ts';

/** A directory of this machine that is served, or will be. */
export interface ServedDirectory {
  root: string;
  /** The file that names its principals. */
  usersFile: string;
  /** Whoever serves it now. */
  server: ListeningServer | undefined;
}

/**
 * The directory that an operand names, default `./sealift-data`, with the users file that `--users` names, or that is
 * in use there. Throws `local-not-found` where there is no such directory, and no file is named.
 */
export async function servedDirectory(directory: unknown, settings: Settings): Promise<ServedDirectory> {
  const root = typeof directory === 'string' ? directory : './sealift-data';
  const { users } = settings;
  const isThere = await stat(root).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
  if (!isThere && users === undefined) {
    throw new SealiftError('local-not-found', `There is no directory ${root}.`, {
      hint: 'Give the directory that is served behind the name, or the users file with --users.',
    });
  }
  const server = isThere ? await listeningServer(root) : undefined;
  const usersFile = (users as string | undefined) ?? server?.usersFile ?? statePaths(root).users;
  return { root, usersFile, server };
}

/**
 * Where clients reach the server, and its pin: what `--url` and `--cert` say, else where it listens now and the
 * key that it shows. Throws `usage` where neither is known.
 */
export async function reachableServer(
  { root, server }: ServedDirectory,
  { url, cert }: Settings,
): Promise<{ address: Address; pin: string }> {
  const address = typeof url === 'string' ? addressIn(url) : server?.address;
  if (address === undefined) {
    throw new SealiftError(
      'usage',
      `No server serves ${root} now, so it is not known where clients reach it.`,
      {
        hint: 'Start it, or say where it will be: --url HOST:PORT',
      },
    );
  }
  if (typeof cert === 'string') return { address, pin: pinIn(await readText(cert), cert) };
  return { address, pin: server?.pin ?? (await keptPin(root)) };
}

function addressIn(url: string): Address {
  const server = parseServerText(url);
  return 'address' in server ? server.address : { host: server.name, port: DEFAULT_PORT };
}

async function keptPin(root: string): Promise<string> {
  const file = join(statePaths(root).identity, 'cert.pem');
  const text = await readPrivateFile(file);
  if (text !== undefined) return pinIn(text, file);
  throw new SealiftError('usage', `${root} was never served, so its server has no key yet.`, {
    hint: 'Start it once, or name the certificate that it will show: --cert FILE',
  });
}

function pinIn(text: string, file: string): string {
  return certificatePin(certificatesIn(text, file)[0]);
}
