import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { finished } from '../commands.ts';
import { ended, type Carrier, type Server } from './server.ts';

/** How late an event loop came to what was due, in milliseconds. */
export interface LoopLag {
  p99: number;
  max: number;
}

export interface SealiftServer extends Server {
  pin: string;
  /** The file that is run. */
  program: string;
  /** Of the time since this was last asked. */
  lag: () => Promise<LoopLag>;
}

/** How a carrier of files or trees is called, if not plainly. */
export interface SealiftWay {
  name?: string;
  /** Options of the command. */
  options?: readonly string[];
  /** Where to connect to, if not to the server itself. */
  port?: number | undefined;
}

/** Starts a server in `directory` that lets anybody write. */
export async function startSealift(program: string, directory: string): Promise<SealiftServer> {
  const root = join(directory, 'root');
  const probe = ['--import', fileURLToPath(import.meta.resolve('./loop-lag.js'))];
  const place = ['--host', '127.0.0.1', '--port', '0', '--anonymous', 'write'];
  const server = spawn(process.execPath, [...probe, program, 'serve', root, ...place, '--json', '-q'], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  if (server.stdout === null) throw new Error('The server has no output.');
  const lines = createInterface({ input: server.stdout });
  const [line] = (await Promise.race([once(lines, 'line'), once(lines, 'close')])) as [string | undefined];
  if (line === undefined) throw new Error('The Sealift server did not start.');
  const { port, pin } = JSON.parse(line) as { port: number; pin: string };
  return {
    pid: server.pid ?? 0,
    port,
    root,
    isOneProcess: true,
    pin,
    program,
    lag: async () => {
      const answer = once(server, 'message') as Promise<[LoopLag]>;
      server.send('lag');
      return (await answer)[0];
    },
    stop: () => ended(server),
  };
}

/** `put` and `get` of one file. */
export function sealiftFiles(server: SealiftServer, way: SealiftWay = {}): Carrier {
  return {
    name: way.name ?? 'sealift',
    server,
    put: (source, name) => command(server, 'put', way, source, remote(server, way, name)),
    get: (name, target) => command(server, 'get', way, remote(server, way, name), target),
  };
}

/** `put -a` and `get -a` of a tree. */
export function sealiftTrees(server: SealiftServer, { port }: Pick<SealiftWay, 'port'> = {}): Carrier {
  const way = { options: ['-a'], port };
  return {
    name: 'sealift',
    server,
    put: (source, name) => command(server, 'put', way, `${source}/`, remote(server, way, name)),
    get: (name, target) => command(server, 'get', way, `${remote(server, way, name)}/`, target),
  };
}

/** `sync` of a tree; `--json`, so that it tells how much was moved. */
export function sealiftSync(server: SealiftServer, { options = [], port }: SealiftWay = {}): Carrier {
  const way = { options: ['--json', ...options], port };
  return {
    name: 'sealift',
    server,
    put: (source, name) => command(server, 'sync', way, `${source}/`, remote(server, way, name)),
    get: (name, target) => command(server, 'sync', way, `${remote(server, way, name)}/`, target),
  };
}

/** The events of a type that a run with `--json` told. */
export function eventsOf(output: string, type: string): Record<string, unknown>[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((event) => event['type'] === type);
}

/** Whether this Sealift's `put` knows an option. */
export async function knowsOption({ program }: SealiftServer, option: string): Promise<boolean> {
  const { output } = await finished(process.execPath, [program, 'help', 'put']);
  return output.includes(option);
}

function command(
  server: SealiftServer,
  action: string,
  { options = [] }: SealiftWay,
  from: string,
  to: string,
) {
  return [process.execPath, server.program, action, '-q', '--pin', server.pin, ...options, from, to];
}

function remote(server: SealiftServer, { port = server.port }: SealiftWay, name: string): string {
  return `sealift://127.0.0.1:${port}/${name}`;
}
