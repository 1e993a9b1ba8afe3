import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** The program as it is run: Node itself, and the sources by type stripping. */
export const SEALIFT: readonly [string, string] = [process.execPath, resolve('src/cli/main.ts')];

/** A line of `--json`. */
export type Event = Record<string, unknown> & { type: string };

/** How a process is to be run. */
export interface RunOptions {
  /** Added to the environment; undefined takes a variable away. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** What its standard input says, and then ends. Default: nothing. */
  input?: string | Buffer;
  /** The file descriptor that standard output goes to instead of being collected. */
  stdout?: number;
}

/** What a process said, and how it ended. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Standard output as it came, for data that is no text. */
  bytes: Buffer;
}

/** A running process, which can be waited for by what it says. */
export class RunningProcess {
  readonly child: ChildProcess;
  /** Resolves when the process has ended and everything that it said was read. */
  readonly ended: Promise<Ended>;
  #out: Buffer[] = [];
  #err = '';
  readonly #listeners = new Set<() => void>();

  constructor([command, ...args]: readonly [string, ...string[]], options: RunOptions) {
    const { env, cwd, input = '', stdout = 'pipe' } = options;
    this.child = spawn(command, args, { env, cwd, stdio: ['pipe', stdout, 'pipe'] });
    this.child.stdout?.on('data', (chunk: Buffer) => this.#heard(() => this.#out.push(chunk)));
    this.child.stderr
      ?.setEncoding('utf8')
      .on('data', (text: string) => this.#heard(() => (this.#err += text)));
    // A process that does not read its input is none of our business.
    this.child.stdin?.on('error', () => undefined).end(input);
    this.ended = once(this.child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      ...this.said,
    }));
    void this.ended.then(() => this.#heard(() => undefined));
  }

  get said(): Pick<Ended, 'stdout' | 'stderr' | 'bytes'> {
    const bytes = Buffer.concat(this.#out);
    return { bytes, stdout: bytes.toString(), stderr: this.#err };
  }

  /** Resolves with the first whole line, on either stream, for which `isIt` holds; rejects when the process ends without. */
  async line(isIt: (line: string) => boolean): Promise<string> {
    const { promise, resolve: found, reject } = Promise.withResolvers<string>();
    const look = () => {
      const { stdout, stderr } = this.said;
      const line = [stdout, stderr].flatMap((text) => text.split('\n').slice(0, -1)).find(isIt);
      if (line !== undefined) found(line);
    };
    this.#listeners.add(look);
    void this.ended.then(({ stdout, stderr, code }) =>
      reject(new Error(`ended with ${code} before the line came:\n${stdout}\n${stderr}`)),
    );
    look();
    return promise.finally(() => this.#listeners.delete(look));
  }

  /** Resolves with the first JSON line of that type for which `isIt` holds. */
  async event(type: string, isIt: (event: Event) => boolean = () => true): Promise<Event> {
    const line = await this.line((text) => {
      const event = eventOf(text);
      return event?.type === type && isIt(event);
    });
    return eventOf(line) as Event;
  }

  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }

  #heard(change: () => void): void {
    change();
    for (const listener of this.#listeners) listener();
  }
}

/** The JSON lines in what a process said. Throws if a line is none. */
export function events(text: string): Event[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Event);
}

function eventOf(line: string): Event | undefined {
  return line.startsWith('{') ? (JSON.parse(line) as Event) : undefined;
}

/**
 * A port of 127.0.0.1 that refuses connections for as long as it is not closed: it belongs to the end of a connection
 * that stands, so that nobody can come to listen on it meanwhile.
 */
export async function refusingPort(): Promise<AsyncDisposable & { port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  await Promise.all([once(socket, 'connect'), once(server, 'connection')]);
  return {
    port: socket.localPort as number,
    [Symbol.asyncDispose]: async () => {
      socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

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
    this.env = {
      PATH: process.env['PATH'],
      HOME: this.at('home'),
      XDG_CONFIG_HOME: this.at('config'),
      XDG_STATE_HOME: this.at('state'),
      TERM: 'xterm',
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
  async serve(args: readonly string[] = [], root = this.at('root')): Promise<ServeProcess> {
    const given = ['--json', '--host', '127.0.0.1', '--anonymous', 'write', '--port', '0'];
    const started = this.start(['serve', root, ...given, ...args]);
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
