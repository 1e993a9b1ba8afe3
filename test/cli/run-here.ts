import { vi } from 'vitest';
import { run } from '../../src/cli/program.ts';
import type { CliHome } from '../support/cli.ts';
import { events, type Event } from '../support/running-process.ts';

export interface RanHere {
  code: number;
  stdout: string;
  stderr: string;
  /** The objects on standard output, where `--json` was said. */
  events: Event[];
}

/**
 * Runs the program in this process, in the place of `home`, which costs far less than a process of its own. What needs
 * one (signals, streams, modes of files) is among the integration tests.
 */
export async function runHere(
  home: CliHome,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RanHere> {
  const said = { stdout: '', stderr: '' };
  for (const [name, value] of Object.entries({ ...home.env, ...env })) vi.stubEnv(name, value);
  for (const stream of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[stream], 'write').mockImplementation((text) => {
      said[stream] += String(text);
      return true;
    });
  }
  try {
    const code = await run(['node', 'sealift', ...args], new AbortController().signal);
    return { code, ...said, events: args.includes('--json') ? events(said.stdout) : [] };
  } finally {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  }
}
