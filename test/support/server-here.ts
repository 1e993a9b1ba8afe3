import { onTestFinished } from 'vitest';

import { createServer, type CreateServerOptions } from '../../src/server/create-server.ts';
import type { CliHome } from './cli.ts';

let servers = 0;

/** A server of this process in a directory of `home`, which ends with the test: its pin, and where it is. */
export async function serveHere(home: CliHome, options: Partial<CreateServerOptions>) {
  const root = home.at('served', `${(servers += 1)}`);
  const server = await createServer({ root, host: '127.0.0.1', port: 0, ...options });
  onTestFinished(() => server[Symbol.asyncDispose]());
  const { port } = server.address as { port: number };
  const place = `127.0.0.1:${port}`;
  return { root, pin: server.pin, port, place, url: `sealift://${place}/` };
}
