import { vi } from 'vitest';
import { run } from '../../src/cli/program.ts';
import type { CliHome } from '../support/cli.ts';
import { events, type Event, type RunOptions } from '../support/running-process.ts';

export interface RanHere {
  code: number;
  stdout: string;
  stderr: string;
  /** Standard output as it came, for data that is no text. */
  bytes: Buffer;
  /** The objects on standard output, where `--json` was said. */
  events: Event[];
}

/** What a stream calls once it has taken a content; it may stand in the place of the encoding. */
type Done = (() => void) | undefined;

/**
 * Runs the program in this process, in the place of `home`, which costs far less than a process of its own. What needs
 * one (signals, streams, modes of files) is among the integration tests. Two at once would hear each other.
 */
export async function runHere(
  home: CliHome,
  args: readonly string[],
  env: RunOptions['env'] = {},
): Promise<RanHere> {
  const said = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for (const [name, value] of Object.entries({ ...home.env, ...env })) vi.stubEnv(name, value);
  for (const stream of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[stream], 'write').mockImplementation((content, encoding, done = encoding as Done) => {
      said[stream].push(Buffer.from(content as string));
      if (typeof done === 'function') done();
      return true;
    });
  }
  const directory = process.cwd();
  process.chdir(home.at('work'));
  try {
    const { exitCode: code } = await run(['node', 'sealift', ...args], new AbortController().signal);
    const bytes = Buffer.concat(said.stdout);
    const stdout = bytes.toString();
    const stderr = Buffer.concat(said.stderr).toString();
    return { code, stdout, stderr, bytes, events: args.includes('--json') ? events(stdout) : [] };
  } finally {
    process.chdir(directory);
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  }
}

/** `run` and `runJson` of a home, without a process for each. */
export function inThisProcess(home: CliHome) {
  const here = ({ env }: Pick<RunOptions, 'env'>, args: readonly string[]) => runHere(home, args, env);
  return {
    run: (args: readonly string[], options: Pick<RunOptions, 'env'> = {}) => here(options, args),
    runJson: (args: readonly string[], options: Pick<RunOptions, 'env'> = {}) =>
      here(options, [...args, '--json']),
  };
}
