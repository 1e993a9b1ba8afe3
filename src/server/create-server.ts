import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { X509Certificate } from 'node:crypto';

import { systemClock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { DEFAULT_PORT } from '../protocol/limits.ts';
import { PERMISSIONS } from '../protocol/responses.ts';
import { systemRandom } from '../random.ts';
import { FileStore } from '../storage/fs/fs-store.ts';
import { beginThread } from '../storage/fs/small-files.ts';
import { STATE_DIRECTORY } from '../storage/own-names.ts';
import type { Address } from '../transport/address.ts';
import { addPrincipal } from '../trust/add-principal.ts';
import { isCertificateName } from '../trust/certificate-names.ts';
import { JoinCodes } from '../trust/join-codes.ts';
import { certificatePin } from '../trust/pins.ts';
import { parsePrincipals, type Principals } from '../trust/principals.ts';
import { readPrivateFile } from '../trust/private-file.ts';
import { claimProcessLock, type ProcessLock } from '../trust/process-lock.ts';
import { loadOrCreateIdentity } from '../trust/server-identity.ts';
import { hashToken, newToken } from '../trust/tokens.ts';
import { Server, type ServerOptions } from './server.ts';

/** How to serve a directory. What is not given takes care of itself: a key pair is made and kept, clients join by code. */
export interface CreateServerOptions extends Omit<
  ServerOptions,
  'store' | 'address' | 'tls' | 'principals' | 'join' | 'trustsClientCa'
> {
  /** The directory to serve; made if it is missing. */
  root: string;
  /** Default: all addresses. */
  host?: string;
  /** Default 7433; 0 picks one. */
  port?: number;
  /** Listen on this Unix socket instead. */
  socketPath?: string;
  /** PEM texts of the server's certificate and key. Default: a self-signed pair that is made once and kept with the data, for clients to pin. */
  cert?: string;
  key?: string;
  passphrase?: string;
  /** PEM text of the CA that signs client certificates. */
  clientCa?: string;
  /** Default `TLSv1.3`. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** The file that names the principals. Default: one that is kept with the data, to which joining adds. */
  usersFile?: string;
}

/** A server that was started from a directory. */
export interface CreatedServer extends AsyncDisposable {
  readonly address: Address;
  /** `sha256//…` of the key that it shows, for clients to pin. */
  readonly pin: string;
  /** How many principals may log in. */
  readonly principalCount: number;
  readonly connectionCount: number;
  /** A code that lets one client join within 15 minutes; undefined if principals come from a file of the operator. */
  issueJoinCode(): string | undefined;
  /** See `Server.close`. */
  close(options?: { graceMs?: number }): Promise<void>;
  destroyConnections(): void;
}

/** Serves a directory. Throws `bad-configuration` where something given cannot be used. */
export async function createServer(options: CreateServerOptions): Promise<CreatedServer> {
  const { clock = systemClock, random = systemRandom, root, clientCa } = options;
  if ((options.cert === undefined) !== (options.key === undefined)) {
    throw new SealiftError(
      'bad-configuration',
      'A certificate needs its key, and a key its certificate: give both or neither.',
    );
  }
  await makeRoot(root);
  const store = await FileStore.open({ root, clock, random, beginThread });
  let lock: ProcessLock | undefined;
  try {
    // Two servers on one directory would not know of each other's uploads, and one would sweep the other's away.
    lock = await claimProcessLock(join(root, STATE_DIRECTORY, 'server.lock'), `the directory ${root}`);
    const identity = await identityOf(options);
    const users = await usersOf(options);
    // Whoever lists first finds it working.
    void store.startThread();
    const server = await Server.start({
      ...options,
      store,
      address: addressOf(options),
      tls: { ...identity, passphrase: options.passphrase, clientCa, minVersion: options.minVersion },
      principals: users.principals,
      join: users.join,
      trustsClientCa: clientCa !== undefined && options.usersFile === undefined,
    });
    return created(server, { store, lock, pin: identity.pin, users });
  } catch (error) {
    await lock?.release();
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

interface Users {
  principals: () => Principals;
  codes: JoinCodes | undefined;
  join: ServerOptions['join'];
}

async function usersOf({
  root,
  usersFile,
  clock = systemClock,
  random = systemRandom,
}: CreateServerOptions): Promise<Users> {
  const file = usersFile ?? join(root, STATE_DIRECTORY, 'users.toml');
  const text = await readPrivateFile(file);
  if (text === undefined && usersFile !== undefined)
    throw new SealiftError('bad-configuration', `The users file ${usersFile} does not exist.`);
  let principals = parsePrincipals(text ?? '', file);
  // What an operator writes is the operator's: joining adds to our own file only.
  if (usersFile !== undefined) return { principals: () => principals, codes: undefined, join: undefined };
  const codes = new JoinCodes(clock, random);
  return {
    principals: () => principals,
    codes,
    join: async (code) => {
      if (!codes.redeem(code)) return undefined;
      const token = newToken(random);
      const added = await addPrincipal(
        file,
        { permissions: PERMISSIONS, tokenHash: hashToken(token) },
        { clock, random },
      );
      principals = added.principals;
      return { token, name: added.principal.name };
    },
  };
}

async function identityOf({
  root,
  cert,
  key,
  clock = systemClock,
  random = systemRandom,
}: CreateServerOptions): Promise<{ cert: string; key: string; pin: string }> {
  if (cert !== undefined && key !== undefined) return { cert, key, pin: pinOf(cert) };
  // A host name that no certificate can bear is left out: clients pin the key anyway.
  const names = [...new Set(['localhost', '127.0.0.1', '::1', hostname()])].filter(isCertificateName);
  return loadOrCreateIdentity(join(root, STATE_DIRECTORY, 'identity'), { names, clock, random });
}

function pinOf(cert: string): string {
  try {
    return certificatePin(new X509Certificate(cert));
  } catch (cause) {
    throw new SealiftError('bad-configuration', 'The certificate of the server is not one in PEM.', {
      cause,
    });
  }
}

function addressOf({ socketPath, host = '', port = DEFAULT_PORT }: CreateServerOptions): Address {
  return socketPath === undefined ? { host, port } : { path: socketPath };
}

async function makeRoot(root: string): Promise<void> {
  try {
    await mkdir(root, { recursive: true });
  } catch (cause) {
    throw new SealiftError('bad-configuration', `The directory ${root} cannot be made.`, { cause });
  }
}

function created(
  server: Server,
  { store, lock, pin, users }: { store: FileStore; lock: ProcessLock; pin: string; users: Users },
): CreatedServer {
  let closing: Promise<void> | undefined;
  const closeAll = async (options?: { graceMs?: number }): Promise<void> => {
    try {
      await server.close(options);
      await store[Symbol.asyncDispose]();
    } finally {
      await lock.release();
    }
  };
  const close = (options?: { graceMs?: number }): Promise<void> => (closing ??= closeAll(options));
  return {
    get address() {
      return server.address;
    },
    pin,
    get principalCount() {
      return [...users.principals()].length;
    },
    get connectionCount() {
      return server.connectionCount;
    },
    issueJoinCode: () => users.codes?.issue(),
    close,
    destroyConnections: () => server.destroyConnections(),
    async [Symbol.asyncDispose]() {
      server.destroyConnections();
      await close({ graceMs: 0 });
    },
  };
}
