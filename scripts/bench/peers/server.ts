// Servers on loopback, each with a directory and keys of its own.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server that runs. */
export interface Server {
  pid: number;
  port: number;
  /** Where it keeps what it is sent. */
  root: string;
  /** Whether all that it does is done in this one process. */
  isOneProcess: boolean;
  stop: () => Promise<void>;
}

/** One way in which a program carries a file, or a tree, to its server and from it. */
export interface Carrier {
  name: string;
  server: Server;
  /** The command that makes `name` in the server's root from `source`. */
  put?: (source: string, name: string) => readonly string[];
  /** The command that makes `target` from `name` in the server's root. */
  get?: (name: string, target: string) => readonly string[];
}

export async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  server.kill();
  await once(server, 'exit');
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when somebody accepts connections on `port`. */
export async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt += 1) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await new Promise<boolean>((resolve) =>
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false)),
    );
    socket.destroy();
    if (isOpen) return;
    await sleep(25);
  }
  throw new Error(`Nobody listens on port ${port}.`);
}
