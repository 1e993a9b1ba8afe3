import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';

import type { CreatedServer, CreateServerOptions } from '../../src/server/create-server.ts';
import type { FakeClock } from './fake-clock.ts';
import type { RawClient } from './raw-client.ts';
import {
  startDirectoryServer,
  temporaryDirectory,
  usersToml,
  type TestServer,
  type TestUser,
} from './test-server.ts';

export interface AttackedServerOptions extends Partial<CreateServerOptions> {
  /** Default: `tester`, who may do everything. None: principals come by joining. */
  users?: Record<string, TestUser> | undefined;
}

/** A directory that is served to attackers, with everything that is logged. */
export interface AttackedServer extends TestServer {
  server: CreatedServer;
  root: string;
  /** The text of the log so far, as it would stand in a file: lines of JSON, everything from `debug` on. */
  log: () => string;
  /** Throws unless a newcomer is served: nothing that was done has ended the server, or keeps it busy. */
  assertAlive: () => Promise<void>;
}

/** Starts a server as `sealift serve` does it, on an empty directory. */
export async function startAttackedServer(options: AttackedServerOptions = {}): Promise<AttackedServer> {
  const { users = { tester: {} }, ...rest } = options;
  const lines: string[] = [];
  const logger = pino({ level: 'debug', base: null }, { write: (line: string) => void lines.push(line) });
  const hasUsers = !('users' in options) || options.users !== undefined;
  const started = await startDirectoryServer({
    ...(hasUsers ? { usersFile: await usersFileOf(users) } : {}),
    logger,
    ...rest,
  });
  const login: TestServer['login'] = (user = Object.keys(users)[0], fields) => started.login(user, fields);
  return {
    ...started,
    login,
    log: () => lines.join(''),
    assertAlive: async () => {
      const client = hasUsers ? await login() : await started.connect();
      const answer = await client.ask(hasUsers ? 'ping' : 'hello', { protocol: 1, agent: 'alive' });
      if (hasUsers && answer.header['status'] !== 'ok') throw new Error(JSON.stringify(answer.header));
      await client.destroy();
    },
  };
}

/** Lets `seconds` pass one by one; `each` happens before every one of them, and the server has read it by then. */
export async function passSeconds(
  seconds: number,
  { clock, witness, each = () => undefined }: { clock: FakeClock; witness: RawClient; each?: () => void },
): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    each();
    // What was sent before on another connection of this machine has been read when this is answered.
    await witness.ask('ping');
    clock.advance(1_000);
  }
}

/**
 * Sends `chunk` up to `times` times to a server, and resolves with how often it was taken before the server stopped
 * reading: it counts as stopped when it answered somebody else many times in the meantime.
 */
export async function chunksTaken(
  client: RawClient,
  chunk: Uint8Array,
  { times, witness }: { times: number; witness: RawClient },
): Promise<number> {
  for (let taken = 0; taken < times; taken += 1) {
    const state = { isTaken: false };
    const writing = new Promise<void>((resolve) =>
      client.socket.write(chunk, () => {
        state.isTaken = true;
        resolve();
      }),
    );
    const waiting = (async () => {
      for (let round = 0; round < 200 && !state.isTaken; round += 1) await witness.ask('ping');
    })();
    await Promise.race([writing, waiting]);
    if (!state.isTaken) return taken;
  }
  return times;
}

/** The codes of the errors among the messages that a client got. */
export function errorCodes(client: RawClient): unknown[] {
  return client.messages
    .filter(({ header }) => header['status'] === 'error')
    .map(({ header }) => header['code']);
}

async function usersFileOf(users: Record<string, TestUser>): Promise<string> {
  const path = join(await temporaryDirectory(), 'users.toml');
  writeFileSync(path, usersToml(users), { mode: 0o600 });
  return path;
}
