import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

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
  /** The same for standard error. */
  stderr?: number;
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
    const { env, cwd, input = '', stdout = 'pipe', stderr = 'pipe' } = options;
    this.child = spawn(command, args, { env, cwd, stdio: ['pipe', stdout, stderr] });
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

  /** Holds it where it is until it is thawed or killed: what is done meanwhile may take as long as a busy machine takes. */
  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }

  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal);
    // One that is frozen would not notice.
    this.thaw();
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
