// The main job on one machine, with the real programs: a server and a client process, TLS with certificates on both
// sides, a connection that is cut half-way, and the same bytes in the end. Leaves nothing behind.
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { createReadStream, mkdtempSync, openSync, closeSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';

import { systemClock } from '../src/clock.ts';
import { systemRandom } from '../src/random.ts';
import { startFaultProxy } from '../src/transport/fault-proxy.ts';

const FILE_BYTES = 256 * 2 ** 20;
const main = resolve(import.meta.dirname, '../src/cli/main.ts');
const directory = mkdtempSync(join(tmpdir(), 'sealift-demo-'));
const inDirectory = (name: string) => join(directory, name);
// Nothing of the user's own is read or written.
const environment = {
  ...process.env,
  XDG_CONFIG_HOME: inDirectory('config'),
  XDG_STATE_HOME: inDirectory('state'),
};

let server: ChildProcess | undefined;
try {
  await run();
} finally {
  server?.kill();
  rmSync(directory, { recursive: true, force: true });
}

async function run(): Promise<void> {
  say('Make a certificate authority, and certificates for a server and a client.');
  await node(resolve(import.meta.dirname, 'make-certs.ts'), [inDirectory('certs')], 'ignore');

  say('Start a server that lets in whom this authority has signed.');
  const port = await startServer();

  say('Make a file of 256 MiB, and put a proxy before the server that cuts the connection half-way.');
  makeFile(inDirectory('original.bin'));
  const proxy = await startFaultProxy({
    target: { host: '127.0.0.1', port },
    faults: { cut: { afterBytes: FILE_BYTES / 2, direction: 'up', counting: 'proxy', times: 1 } },
    clock: systemClock,
    random: systemRandom,
  });
  const remote = `sealift://127.0.0.1:${proxy.port}`;

  say('Send it. The cut comes on the way; the same command goes on by itself.');
  await sealift(
    'put',
    '-v',
    '--bwlimit',
    '96M',
    inDirectory('original.bin'),
    `${remote}/backup/original.bin`,
  );

  say('The receipt, as the server has it:');
  await sealift('stat', '--digest', `${remote}/backup/original.bin`);

  say('Fetch it back, and compare.');
  await sealift('get', '-v', `${remote}/backup/original.bin`, inDirectory('returned.bin'));
  const [original, returned] = await Promise.all(
    ['original.bin', 'returned.bin'].map((name) => sha256(inDirectory(name))),
  );
  if (original !== returned)
    throw new Error(`The files differ: ${String(original)} and ${String(returned)}.`);
  console.log(
    `Both files have the SHA-256 ${String(original)}; the proxy saw ${proxy.connections} connections.`,
  );

  await proxy.close();
  say('Done: sent, cut, resumed, fetched back, and the same to the last bit.');
}

/** Starts the server; resolves with its port. It is ended with this program. */
async function startServer(): Promise<number> {
  const certs = inDirectory('certs');
  const parameters = [
    'serve',
    inDirectory('data'),
    '--host',
    '127.0.0.1',
    '--port',
    '0',
    '--quiet',
    '--json',
  ];
  const trust = [
    '--cert',
    join(certs, 'server.pem'),
    '--key',
    join(certs, 'server.key'),
    '--client-ca',
    join(certs, 'ca.pem'),
  ];
  server = spawn(process.execPath, [main, ...parameters, ...trust], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (server.stdout === null) throw new Error('The server has no output.');
  for await (const line of createInterface({ input: server.stdout })) {
    const { port } = JSON.parse(line) as { port: number };
    console.log(`It listens on port ${port}.`);
    return port;
  }
  throw new Error('The server ended before it listened.');
}

async function sealift(...parameters: string[]): Promise<void> {
  const certs = inDirectory('certs');
  const identity = [
    '--ca',
    join(certs, 'ca.pem'),
    '--cert',
    join(certs, 'client.pem'),
    '--key',
    join(certs, 'client.key'),
  ];
  console.log(`$ sealift ${parameters.join(' ').replaceAll(`${directory}/`, '')}`);
  await node(main, [...parameters, ...identity], 'inherit');
}

async function node(program: string, parameters: string[], stdio: StdioOptions): Promise<void> {
  const child = spawn(process.execPath, [program, ...parameters], { env: environment, stdio });
  const code = await new Promise<number | null>((done, failed) =>
    child.once('exit', done).once('error', failed),
  );
  if (code !== 0) throw new Error(`It ended with the exit code ${String(code)}.`);
}

function makeFile(path: string): void {
  const block = Buffer.alloc(2 ** 20);
  const file = openSync(path, 'w');
  for (let written = 0; written < FILE_BYTES; written += block.length) writeSync(file, randomFillSync(block));
  closeSync(file);
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function say(text: string): void {
  console.log(`\n${text}`);
}
