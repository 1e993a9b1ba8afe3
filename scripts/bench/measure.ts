// Runs a command and tells what it cost.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** What one run of one contestant cost. */
export interface Cost {
  seconds: number;
  /** Processor seconds of the command and its children. */
  clientCpu: number;
  /** Processor seconds of the server in the same time. */
  serverCpu: number;
}

/** Runs `command`, which must succeed, and charges the server process `serverPid` for the same time. */
export async function measured(
  command: readonly string[],
  environment: NodeJS.ProcessEnv,
  serverPid: number,
): Promise<Cost> {
  const serverBefore = processorSeconds(serverPid);
  // bash tells the processor time of a command with its children, which Node does not.
  const script = 'TIMEFORMAT="%R %U %S"; time "$@"';
  const { code, output } = await finished('bash', ['-c', script, 'bash', ...command], environment);
  const [seconds, user, system] = (output.trimEnd().split('\n').at(-1) ?? '').split(' ').map(Number);
  if (code !== 0 || seconds === undefined || user === undefined || system === undefined) {
    throw new Error(`${command.join(' ')} failed with ${String(code)}: ${output}`);
  }
  return { seconds, clientCpu: user + system, serverCpu: processorSeconds(serverPid) - serverBefore };
}

/** Runs a command to its end; resolves with its exit code and what it wrote to standard error. */
export async function finished(
  program: string,
  parameters: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, parameters, { env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('close', resolve).once('error', reject),
  );
  return { code, output };
}

/** The most memory that a process ever had, in MiB. */
export function peakMemory(pid: number): number {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round(Number(line?.[1] ?? 0) / 1024);
}

/** The value in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

// proc(5): fields 14 to 17 are the ticks, of 10 ms on Linux, of the process itself and of its children that ended.
function processorSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index] ?? 0), 0) / 100;
}
