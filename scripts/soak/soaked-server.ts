// The server that is soaked: a process of the program, which is stopped, killed and started on the same port.
import { setTimeout as sleep } from 'node:timers/promises';

import { SEALIFT, type CliHome } from '../../test/support/cli.ts';
import type { RunningProcess } from '../../test/support/running-process.ts';
import type { TinyDisk } from '../../test/support/tiny-disk.ts';

export interface SoakedServerOptions {
  home: CliHome;
  /** What it serves lies here, if the machine mounts it. */
  disk: TinyDisk | undefined;
}

/** What a server says of itself over HTTP. */
export interface Told {
  connections: number;
  uploads: number;
  /** How often the event loop was asked how late it is, and how often that was more than 0.1 s. */
  lags: { all: number; long: number };
}

export class SoakedServer {
  host = '';
  port = 0;
  pin = '';
  readonly #options: SoakedServerOptions;
  #process: RunningProcess | undefined;
  #metricsUrl = '';
  /** What the processes before have said of their event loops. */
  readonly #lags = { all: 0, long: 0 };

  constructor(options: SoakedServerOptions) {
    this.#options = options;
  }

  /** What it serves, as the server and as this process see it. */
  get #root(): { served: string; seen: string } {
    const { home, disk } = this.#options;
    if (disk !== undefined) return { served: `${disk.path}/root`, seen: disk.seen('root') };
    return { served: home.at('root'), seen: home.at('root') };
  }

  get root(): string {
    return this.#root.seen;
  }

  get pid(): number {
    return this.#running.child.pid as number;
  }

  async start(...more: string[]): Promise<void> {
    const { home, disk } = this.#options;
    const address = ['--host', '127.0.0.1', '--port', `${this.port}`, '--metrics', ':0'];
    const others = ['--anonymous', 'write', '--audit-log', home.at('audit.jsonl'), '--json', '-q'];
    const command = [...SEALIFT, 'serve', this.#root.served, ...address, ...others, ...more] as const;
    const process = home.startCommand(disk === undefined ? [...command] : disk.command(command));
    this.#process = process;
    const { host, port, pin } = await process.event('listening');
    Object.assign(this, { host, port, pin });
    this.#metricsUrl = (await process.event('metrics'))['url'] as string;
  }

  /** Stops it as an operator does. Throws unless it ends well. */
  async stop(): Promise<void> {
    await this.#noteLags();
    const { code, signal, stderr } = await this.#running.kill('SIGTERM');
    if (code !== 0)
      throw new Error(`The server ended with ${code ?? signal} when it was stopped:\n${stderr}`);
  }

  async kill(): Promise<void> {
    await this.#noteLags();
    const { signal, stderr } = await this.#running.kill('SIGKILL');
    if (signal !== 'SIGKILL') throw new Error(`The server had ended before it was killed:\n${stderr}`);
  }

  reload(): void {
    this.#running.child.kill('SIGHUP');
  }

  async told(): Promise<Told> {
    const text = await (await fetch(this.#metricsUrl)).text();
    const value = (name: string) =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')[1] ?? 0,
      );
    const all = value('sealift_event_loop_lag_seconds_count');
    const short = value('sealift_event_loop_lag_seconds_bucket{le="0.1"}');
    return {
      connections: value('sealift_connections'),
      uploads: value('sealift_uploads_open'),
      lags: { all: this.#lags.all + all, long: this.#lags.long + all - short },
    };
  }

  /** Resolves when nobody is connected and nobody uploads; with false if that takes more than ten seconds. */
  async quiet(): Promise<boolean> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const { connections, uploads } = await this.told();
      if (connections === 0 && uploads === 0) return true;
      await sleep(100);
    }
    return false;
  }

  get #running(): RunningProcess {
    if (this.#process === undefined) throw new Error('The server was not started.');
    return this.#process;
  }

  async #noteLags(): Promise<void> {
    Object.assign(this.#lags, (await this.told()).lags);
  }
}
