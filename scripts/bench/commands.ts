// Runs commands.
import { spawn, type ChildProcess } from 'node:child_process';

/** The words of a command. */
export type Command = readonly string[];

const running = new Set<ChildProcess>();

/** Starts a command, in a process group of its own, with or without what it says. */
export function start([program = '', ...parameters]: Command, output: 'pipe' | 'ignore'): ChildProcess {
  const child = spawn(program, parameters, { stdio: ['ignore', output, output], detached: true });
  running.add(child);
  return child.once('close', () => running.delete(child)).once('error', () => running.delete(child));
}

/** Kills every command that still runs, with its children. */
export function killCommands(): void {
  for (const { pid } of running) {
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** What a command said, and how it ended. */
export interface Ended {
  code: number | null;
  output: string;
  errors: string;
}

/** Runs a command to its end. */
export async function finished(program: string, parameters: Command): Promise<Ended> {
  const child = start([program, ...parameters], 'pipe');
  let output = '';
  let errors = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('close', resolve).once('error', reject),
  );
  return { code, output, errors };
}

/** Runs a command that must succeed; resolves with its standard output. */
export async function mustRun(program: string, parameters: Command): Promise<string> {
  const { code, output, errors } = await finished(program, parameters);
  if (code !== 0) throw new Error(`${[program, ...parameters].join(' ')} failed with ${code}: ${errors}`);
  return output;
}
