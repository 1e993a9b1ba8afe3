import type { Command } from 'commander';

import { abortable } from '../client/abortable.ts';
import type { Client } from '../client/client.ts';
import { withRetries } from '../client/retry.ts';
import { systemClock } from '../clock.ts';
import { isSealiftError, SealiftError, type ErrorCode } from '../errors.ts';
import type { StatAnswer } from '../protocol/responses.ts';
import { systemRandom } from '../random.ts';
import { shellWord } from '../shell-word.ts';
import { formatAddress, type Address } from '../transport/address.ts';
import { formatDuration } from '../units.ts';
import { printable } from './escape.ts';
import { addConnectionOptions } from './options.ts';
import { parsePlaceText, type PlaceText } from './places.ts';
import type { RunContext } from './run-context.ts';
import type { Action, Runner } from './runner.ts';

/** A place on a server, as a command takes it. */
export type RemotePlace = Extract<PlaceText, { kind: 'remote' }>;

/** Declares a command that connects to a server, with its options. */
export function addRemoteCommand(program: Command, run: Runner, command: Command, action: Action): void {
  // What was added, not made, by `program` does not know what it says of failures.
  program.addCommand(addConnectionOptions(command).copyInheritedSettings(program));
  run(command, action);
}

/** Understands a place that must be on a server. Throws `usage`. */
export function remotePlace(text: unknown): RemotePlace {
  const place = parsePlaceText(String(text));
  if (place.kind === 'remote') return place;
  const root = /^[a-z0-9][\w.-]*$/i.test(String(text))
    ? `; the root of ${String(text)} is ${String(text)}:`
    : '.';
  throw new SealiftError('usage', `${String(text)} is no place on a server.`, {
    hint: `Write it as host:path, or name:path with a saved remote${root}`,
  });
}

/**
 * Throws `usage` where `place` is written as a pattern, which a server does not expand, and nothing is called just so:
 * who forgets that would take what is removed, or fetched, for all that matches.
 */
export async function assertNoPattern(context: RunContext, place: RemotePlace): Promise<void> {
  const { server, path } = place;
  if (!/[*?[]/.test(path)) return;
  try {
    await ask(context, place, (client) => client.stat(path));
  } catch (error) {
    // Who may not look may still be allowed to do what is asked for.
    if (isSealiftError(error, 'forbidden')) return;
    if (!isSealiftError(error, 'not-found')) throw error;
    const root = 'name' in server ? `${server.name}:` : serverRoot(server.address);
    throw new SealiftError(
      'usage',
      `${JSON.stringify(path)} does not exist, and patterns are not expanded.`,
      {
        hint: `To list what matches: sealift search ${shellWord(root)} ${shellWord(path)}. To fetch it: the directory, with --recursive and --include.`,
        cause: error,
      },
    );
  }
}

/** Throws `not-directory` where `place` is written as a directory, `name/`, and something else stands there. */
export function assertAsWritten(
  { path, hasTrailingSlash }: RemotePlace,
  { type }: Pick<StatAnswer, 'type'>,
): void {
  if (!hasTrailingSlash || type === 'directory') return;
  throw new SealiftError('not-directory', `${JSON.stringify(path)} is no directory.`, {
    hint: 'Write it without the slash at its end.',
  });
}

/** Asks the server of `place` something that may be asked again, with retries. */
export async function ask<T>(
  context: RunContext,
  place: RemotePlace,
  question: (client: Client) => Promise<T>,
): Promise<T> {
  const connector = await context.connector(place.server);
  const { terminal, signal, retryPolicy } = context;
  return withRetries(
    {
      policy: retryPolicy,
      clock: systemClock,
      random: systemRandom,
      signal,
      onRetry: ({ error, retry, delayMs }) => {
        terminal.event('retry', {
          code: error.code,
          message: error.message,
          retry,
          delayMs: Math.round(delayMs),
        });
        const again = `Trying again in ${formatDuration(delayMs)} (${retry} of ${retryPolicy.retries}).`;
        terminal.note(`sealift: ${printable(error.message)} ${again}`);
      },
    },
    async () => abortable(question(await connector.use(signal)), signal),
  ).catch(async (error: unknown) => {
    throw await withPortHint(context, place, error);
  });
}

/** The error, with a hint where a port may be meant: what follows a host is a path, as for scp, and whoever meant a port does not see why nothing is there, or nobody answers. */
export async function withPortHint(
  context: RunContext,
  { server, path }: RemotePlace,
  error: unknown,
): Promise<unknown> {
  if (!('name' in server) || !isSealiftError(error) || error.hint !== undefined) return error;
  const { lastCode = error.code } = error.details;
  if (!MAYBE_OF_PORT.has(lastCode)) return error;
  const [, port, rest = ''] = /^(\d{1,5})(?:[/:](.*))?$/s.exec(path) ?? [];
  if (port === undefined || Number(port) === 0 || Number(port) > 65_535) return error;
  // A saved remote has its port.
  if ((await (await context.remotes()).find(server.name)) !== undefined) return error;
  const root = serverRoot({ host: server.name, port: Number(port) });
  const hint = `If ${port} is a port, write ${shellWord(`${root}${rest}`)}`;
  return new SealiftError(error.code, error.message, { cause: error, details: error.details, hint });
}

const MAYBE_OF_PORT: ReadonlySet<unknown> = new Set<ErrorCode>([
  'not-found',
  'connection-refused',
  'unreachable',
  'connect-timeout',
]);

function serverRoot(address: Address): string {
  return 'path' in address ? `unix:${address.path}:` : `sealift://${formatAddress(address)}/`;
}
