import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import { builtProgram } from './built-program.ts';
import { events, RunningProcess, type Ended, type Event, type RunOptions } from './running-process.ts';

/** The sources of the program, which Node runs by type stripping. */
export const SOURCE = resolve('src/cli/main.ts');
/** The program as it is run. Where coverage is measured, it is that of the sources. */
export const SEALIFT: readonly [string, string] = [
  process.execPath,
  process.env['SEALIFT_TEST_COVERAGE'] === 'true' ? SOURCE : await builtProgram(),
];

const COMPILED = resolve('node_modules/.cache/sealift-tests');

/** A server that runs as a process, and how to reach it. */
export interface ServeProcess {
  process: RunningProcess;
  root: string;
  host: string;
  port: number;
  pin: string;
  /** `path` on it, as an operand. */
  place(path?: string): string;
}

/**
 * A home of its own for processes of the program, with room for files: no setting and no file of whoever runs the
 * tests is seen, and nothing is left behind.
 */
export class CliHome {
  readonly directory = mkdtempSync(join(tmpdir(), 'sealift-cli-'));
  readonly env: Record<string, string | undefined>;
  readonly #processes = new Set<RunningProcess>();

  constructor() {
    // Where coverage is measured, Vitest sets this to where it looks for the counts of processes.
    const coverage = process.env['NODE_V8_COVERAGE'];
    this.env = {
      PATH: process.env['PATH'],
      HOME: this.at('home'),
      XDG_CONFIG_HOME: this.at('config'),
      XDG_STATE_HOME: this.at('state'),
      TERM: 'xterm',
      NODE_V8_COVERAGE: coverage,
      // A program that is started some thousand times is compiled once; but code from the cache is not counted exactly.
      NODE_COMPILE_CACHE: coverage === undefined ? COMPILED : undefined,
    };
    for (const name of ['home', 'config', 'state', 'work']) mkdirSync(this.at(name));
  }

  /** A path in the directory of this home. */
  at(...names: string[]): string {
    return join(this.directory, ...names);
  }

  /** Writes a file and makes its parents; answers with its path. */
  write(name: string, content: string | Buffer): string {
    const path = this.at(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  read(name: string): Buffer {
    return readFileSync(this.at(name));
  }

  /** Starts the program, in the directory `work` unless told otherwise. */
  start(args: readonly string[], options: RunOptions = {}): RunningProcess {
    return this.startCommand([...SEALIFT, ...args], options);
  }

  /** Starts any command with the environment of this home. */
  startCommand(command: readonly [string, ...string[]], options: RunOptions = {}): RunningProcess {
    const env = { ...this.env, ...options.env };
    const started = new RunningProcess(command, { cwd: this.at('work'), ...options, env });
    this.#processes.add(started);
    void started.ended.then(() => this.#processes.delete(started));
    return started;
  }

  /** Starts the program on a terminal of 80 columns, which `script` of util-linux makes; all that it says is its standard output. */
  inTerminal(args: readonly string[], options: RunOptions = {}): RunningProcess {
    const words = [...SEALIFT, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
    const command = `stty cols 80 rows 24; exec ${words.join(' ')}`;
    return this.startCommand(['script', '--quiet', '--return', '--command', command, '/dev/null'], options);
  }

  /** Runs the program to its end. */
  run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return this.start(args, options).ended;
  }

  /** The same with `--json`, and with the objects that it printed to standard output. */
  async runJson(args: readonly string[], options: RunOptions = {}): Promise<Ended & { events: Event[] }> {
    const ended = await this.run([...args, '--json'], options);
    return { ...ended, events: events(ended.stdout) };
  }

  /** Starts a server on a free port of 127.0.0.1 that lets anybody write, and lets this home trust its key. */
  async serve(
    args: readonly string[] = [],
    root = this.at('root'),
    options: RunOptions = {},
  ): Promise<ServeProcess> {
    const given = ['--json', '--host', '127.0.0.1', '--anonymous', 'write', '--port', '0'];
    const started = this.start(['serve', root, ...given, ...args], options);
    const { host, port, pin } = (await started.event('listening')) as unknown as ServeProcess;
    this.trust(`${host}:${port}`, pin);
    return {
      process: started,
      root,
      host,
      port,
      pin,
      place: (path = '') => `sealift://${host}:${port}/${path}`,
    };
  }

  /** Lets this home trust a server, as `sealift trust` would. */
  trust(place: string, pin: string): void {
    mkdirSync(this.at('config', 'sealift'), { recursive: true, mode: 0o700 });
    appendFileSync(this.at('config', 'sealift', 'known_servers'), `${place} ${pin}\n`, { mode: 0o600 });
  }

  /** Ends every process that is left, and removes the directory. */
  async close(): Promise<void> {
    await Promise.all([...this.#processes].map((each) => each.kill('SIGKILL')));
    rmSync(this.directory, { recursive: true, force: true });
  }
}
