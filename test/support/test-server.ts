import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

import type { Permission } from '../../src/protocol/responses.ts';
import {
  createServer,
  type CreatedServer,
  type CreateServerOptions,
} from '../../src/server/create-server.ts';
import { Server, type ServerOptions } from '../../src/server/server.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/store.ts';
import type { Address } from '../../src/transport/address.ts';
import { ClientAuthorities } from '../../src/trust/client-trust.ts';
import { parsePrincipals, type Principals } from '../../src/trust/principals.ts';
import { hashToken } from '../../src/trust/tokens.ts';
import { loopbackCertificate } from './certificates.ts';
import { RawClient, type RawClientOptions } from './raw-client.ts';

/** A principal of a test server. Its token is `token-of-NAME`. */
export interface TestUser {
  permissions?: readonly Permission[];
  pins?: readonly string[];
  names?: readonly string[];
  /** More lines of its table, as in `expires = 2030-01-01`. */
  limits?: string;
}

export interface TestServerOptions extends Partial<Omit<ServerOptions, 'clientTrust' | 'tls'>> {
  /** Default: `tester`, who may do everything. */
  users?: Record<string, TestUser>;
  tls?: Partial<ServerOptions['tls']>;
  /** See `ClientTrust`. Default false. */
  trustsAuthorities?: boolean;
}

/** What both kinds of test servers have for their clients. */
export interface TestServer {
  readonly address: Address;
  /** A connection on which nothing was said yet; cut at the end of the test. */
  connect(options?: Omit<RawClientOptions, 'address'>): Promise<RawClient>;
  /** A connection that has said hello with the token of `user`, default the first; `fields` are for the hello. */
  login(user?: string, fields?: Record<string, unknown>): Promise<RawClient>;
}

/** The token of a user of a test server. */
export function tokenOf(user: string): string {
  return `token-of-${user}`;
}

/**
 * Serves a store, by default one in memory, on a port of the loopback over real TLS. It is closed at the end of the
 * test, or before by `server.close()`; another one with the same `store` is then a restart.
 */
export async function startTestServer({
  users = { tester: {} },
  store = new MemoryStore(),
  address = { host: '127.0.0.1', port: 0 },
  tls,
  trustsAuthorities = false,
  ...options
}: TestServerOptions = {}): Promise<TestServer & { server: Server; store: Store }> {
  const principals = principalsOf(users);
  const authorities =
    tls?.clientCa === undefined ? undefined : new ClientAuthorities(tls.clientCa, 'the CA of a test');
  const trust = { principals, authorities, trustsAuthorities };
  const server = await Server.start({
    store,
    address,
    tls: { ...(await loopbackCertificate()), ...tls },
    clientTrust: () => trust,
    ...options,
  });
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { server, store, ...clientsOf(server.address, Object.keys(users)[0] ?? 'nobody') };
}

/** Serves a directory as `sealift serve` does, by default a new empty one, which is removed at the end of the test. */
export async function startDirectoryServer(
  options: Partial<CreateServerOptions> = {},
): Promise<TestServer & { server: CreatedServer; root: string }> {
  const root = options.root ?? (await temporaryDirectory());
  const server = await createServer({ host: '127.0.0.1', port: 0, ...options, root });
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { server, root, ...clientsOf(server.address, 'nobody') };
}

/** An empty directory, removed at the end of the test. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sealift-test-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** The text of a users file. */
export function usersToml(users: Record<string, TestUser>): string {
  return Object.entries(users)
    .map(
      ([name, { permissions = ['read', 'write', 'list', 'delete'], pins = [], names = [], limits = '' }]) =>
        `[principals."${name}"]\npermissions = ${JSON.stringify(permissions)}\n` +
        `tokens = ["${hashToken(tokenOf(name))}"]\n` +
        `pins = ${JSON.stringify(pins)}\nnames = ${JSON.stringify(names)}\n${limits}\n`,
    )
    .join('\n');
}

function principalsOf(users: Record<string, TestUser>): Principals {
  return parsePrincipals(usersToml(users), 'the users of a test');
}

function clientsOf(address: Address, firstUser: string): TestServer {
  const connect: TestServer['connect'] = async (options) => {
    const client = await RawClient.connect({ address, ...options });
    onTestFinished(() => client.destroy());
    return client;
  };
  const login: TestServer['login'] = async (user = firstUser, fields = {}) => {
    const client = await connect();
    const { header } = await client.hello({ token: tokenOf(user), ...fields });
    if (header['status'] !== 'ok') throw new Error(`the hello was answered ${JSON.stringify(header)}`);
    return client;
  };
  return { address, connect, login };
}
