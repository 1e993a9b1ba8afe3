// Tells what commands cost.
import { performance } from 'node:perf_hooks';

import { finished, mustRun, type Command } from './commands.ts';
import type { Server } from './peers/server.ts';
import { childless, peakMemory, processorSeconds, resetPeakMemory } from './process-figures.ts';

/** What one run of one program cost. */
export interface Cost {
  seconds: number;
  /** Processor seconds of the command and its children. */
  clientCpu: number;
  /** Processor seconds of the server and its children in the same time. */
  serverCpu: number;
  /** The most memory that the server had in the same time, in MB; unknown where it is more than one process. */
  serverPeak: number | undefined;
}

/** Runs `command`, which must succeed; resolves with its cost and its standard output. */
export async function measured(server: Server, command: Command): Promise<Cost & { output: string }> {
  return charged(server, () => timed(command));
}

/** Runs commands at once, which must all succeed. */
export async function measuredTogether(server: Server, commands: readonly Command[]): Promise<Cost> {
  return charged(server, async () => {
    const start = performance.now();
    const all = await Promise.all(commands.map((command) => timed(command)));
    return {
      seconds: (performance.now() - start) / 1000,
      clientCpu: all.reduce((sum, { clientCpu }) => sum + clientCpu, 0),
    };
  });
}

async function charged<T>(server: Server, run: () => Promise<T>) {
  // What earlier runs left to the disk is not charged to this one.
  await mustRun('sync', ['-f', server.root]);
  if (server.isOneProcess) resetPeakMemory(server.pid);
  const before = processorSeconds(server.pid);
  const result = await run();
  await childless(server.pid);
  return {
    ...result,
    serverCpu: processorSeconds(server.pid) - before,
    serverPeak: server.isOneProcess ? peakMemory(server.pid) : undefined,
  };
}

/** bash tells the processor time of a command with its children, which Node does not. */
async function timed(command: Command) {
  const script = 'TIMEFORMAT="%3R %3U %3S"; time "$@"';
  const { code, output, errors } = await finished('bash', ['-c', script, 'bash', ...command]);
  const [seconds, user, system] = (errors.trimEnd().split('\n').at(-1) ?? '').split(' ').map(Number);
  if (code !== 0 || seconds === undefined || user === undefined || system === undefined)
    throw new Error(`${command.join(' ')} failed with ${code}: ${errors}`);
  return { seconds, clientCpu: user + system, output };
}
