import { RunContext } from '../../src/cli/run-context.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { unattended } from '../../src/cli/unattended.ts';
import { abortable } from '../../src/client/abortable.ts';
import type { Connector } from '../../src/client/connector.ts';
import { systemClock, type Clock } from '../../src/clock.ts';
import { SealiftError, type ErrorCode } from '../../src/errors.ts';
import type { Event } from '../support/running-process.ts';

export type Work = (context: RunContext) => Promise<number>;

export interface RunSetting {
  /** To the server that keeps the lock. */
  connector?: Connector;
  /** What tells the program to stop. */
  signal?: AbortSignal;
  clock?: Clock;
}

/** Runs `work` unattended; resolves with the exit code and all events. */
export async function runUnattended(
  settings: Record<string, unknown>,
  work: Work,
  { connector, signal = new AbortController().signal, clock = systemClock }: RunSetting = {},
): Promise<{ code: number; told: Event[] }> {
  const told: Event[] = [];
  const options = { json: false, quiet: true, verbose: false, progress: false, dataOnStdout: false };
  const terminal = new Terminal(options);
  terminal.addListener((type, fields) => told.push({ type, ...fields }));
  const directories = { config: '/nowhere', state: '/nowhere' };
  const given = { retry: 0, retryDelay: 0, retryMaxTime: 0, retryLock: 0, ...settings };
  const context = new RunContext({ settings: given, terminal, directories, signal });
  const server = async () => connector ?? Promise.reject(new Error('no lock was asked for'));
  return { code: await unattended(context, 'put', server, work, clock), told };
}

/** Work that ends with these fields of the summary. */
export function ends(exitCode: number, fields: Record<string, unknown> = { files: 1 }): Work {
  return async ({ terminal }) => {
    terminal.event('file', { path: 'a', digest: 'sha256:00' });
    terminal.event('summary', { ...fields, exitCode });
    return exitCode;
  };
}

/** Work that has no end of its own, as a transfer: it fails when its signal fires. */
export const endless: Work = async ({ signal }) => abortable(new Promise<never>(() => undefined), signal);
/** Work that throws. */
export const fails =
  (code: ErrorCode): Work =>
  async () => {
    throw new SealiftError(code, 'no');
  };
