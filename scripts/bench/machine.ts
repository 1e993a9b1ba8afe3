// On what, and with which versions, the figures were taken.
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

import { formatSize } from '../../src/units.ts';
import { finished, mustRun } from './commands.ts';

export interface Machine {
  date: string;
  processors: number;
  model: string;
  memory: string;
  /** The file system of each directory in which the works were done. */
  fileSystems: Record<string, string>;
  versions: Record<string, string>;
}

export async function machine(directories: readonly string[]): Promise<Machine> {
  const fileSystems: Record<string, string> = {};
  for (const directory of directories)
    fileSystems[directory] =
      (await mustRun('df', ['--output=fstype', directory])).trim().split('\n').at(-1) ?? 'unknown';
  return {
    date: new Date().toISOString().slice(0, 10),
    processors: cpus().length,
    model: cpus()[0]?.model ?? 'unknown',
    memory: formatSize(totalmem()),
    fileSystems,
    versions: await versions(),
  };
}

/** In one line, for people. */
export function describeMachine({
  date,
  processors,
  model,
  memory,
  versions: { sealift, ...others },
}: Machine): string {
  const programs = Object.entries(others).map(([name, version]) => `${name} ${version}`);
  return `${date}; Sealift ${sealift}; ${processors} × ${model}, ${memory} of memory; ${programs.join(', ')}`;
}

async function versions(): Promise<Record<string, string>> {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const commands = {
    OpenSSH: ['ssh', '-V'],
    rsync: ['rsync', '--version'],
    nginx: ['/usr/sbin/nginx', '-v'],
    curl: ['curl', '--version'],
    rclone: ['rclone', 'version'],
  };
  const known: Record<string, string> = {
    sealift: version,
    'Node.js': process.versions.node,
    OpenSSL: process.versions.openssl,
    Linux: release(),
  };
  for (const [name, [program = '', ...parameters]] of Object.entries(commands)) {
    const found = await versionOf(program, parameters);
    if (found !== undefined) known[name] = found;
  }
  return known;
}

/** The first number with a point that a program says; undefined where it is missing. */
async function versionOf(program: string, parameters: readonly string[]): Promise<string | undefined> {
  try {
    const { output, errors } = await finished(program, parameters);
    return /\d+\.\d[\w.]*/.exec(output + errors)?.[0];
  } catch {
    return undefined;
  }
}
