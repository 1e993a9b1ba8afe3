// The programs that are compared. Each starts its own server on loopback, with keys of its own, and ends it.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

import { finished } from './measure.ts';

/** One program that can carry a file to its server, or from it, or both. */
export interface Contestant {
  name: string;
  serverPid: number;
  environment: NodeJS.ProcessEnv;
  /** Where the server keeps a file of that name. */
  stored(name: string): string;
  put?(file: string, name: string): string[];
  get?(name: string, file: string): string[];
  stop(): Promise<void>;
}

/** Starts a contestant in a directory of its own; a string says which package is missing. */
export type Starter = (directory: string) => Promise<Contestant | string>;

export const STARTERS: Readonly<Record<string, Starter>> = {
  sealift: startSealift,
  scp: (directory) => startSsh(directory, 'scp'),
  'rsync -W': (directory) => startSsh(directory, 'rsync'),
  'curl+nginx': startNginx,
};

async function startSealift(directory: string): Promise<Contestant | string> {
  const main = resolve('dist/cli/main.js');
  if (!existsSync(main)) return 'npm run build';
  const environment = {
    ...process.env,
    XDG_CONFIG_HOME: join(directory, 'config'),
    XDG_STATE_HOME: join(directory, 'state'),
  };
  const root = join(directory, 'root');
  const serve = [
    main,
    'serve',
    root,
    '--host',
    '127.0.0.1',
    '--port',
    '0',
    '--anonymous',
    'write',
    '--json',
    '-q',
  ];
  const server = spawn(process.execPath, serve, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface({ input: server.stdout }), 'line')) as [string];
  const { port, pin } = JSON.parse(line) as { port: number; pin: string };
  const client = (command: string, ...places: string[]) => [
    process.execPath,
    main,
    command,
    '-q',
    '--pin',
    pin,
    ...places,
  ];
  const remote = (name: string) => `sealift://127.0.0.1:${port}/${name}`;
  return {
    name: 'sealift',
    serverPid: server.pid ?? 0,
    environment,
    stored: (name) => join(root, name),
    put: (file, name) => client('put', file, remote(name)),
    get: (name, file) => client('get', remote(name), file),
    stop: () => ended(server),
  };
}

async function startSsh(directory: string, program: 'scp' | 'rsync'): Promise<Contestant | string> {
  if (!existsSync('/usr/sbin/sshd')) return 'openssh-server';
  if ((await finished('bash', ['-c', `command -v ${program}`])).code !== 0) return program;
  const at = (name: string) => join(directory, name);
  for (const key of ['host', 'user'])
    await mustRun('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(key)]);
  mkdirSync('/run/sshd', { recursive: true });
  const port = await freePort();
  const settings = [
    'ListenAddress=127.0.0.1',
    `AuthorizedKeysFile=${at('user.pub')}`,
    'StrictModes=no',
    'PidFile=none',
    'UsePAM=no',
  ];
  const server = spawn(
    '/usr/sbin/sshd',
    ['-D', '-p', String(port), '-h', at('host'), ...settings.flatMap((each) => ['-o', each])],
    { stdio: 'ignore' },
  );
  await listening(port);
  const trust = [
    '-i',
    at('user'),
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'LogLevel=ERROR',
  ];
  const scp = (from: string, to: string) => ['scp', '-q', '-P', String(port), ...trust, from, to];
  const rsync = (from: string, to: string) => [
    'rsync',
    '-W',
    '-e',
    ['ssh', '-p', String(port), ...trust].join(' '),
    from,
    to,
  ];
  const copy = program === 'scp' ? scp : rsync;
  return {
    name: program === 'scp' ? 'scp' : 'rsync -W',
    serverPid: server.pid ?? 0,
    environment: process.env,
    stored: at,
    put: (file, name) => copy(file, `127.0.0.1:${at(name)}`),
    get: (name, file) => copy(`127.0.0.1:${at(name)}`, file),
    stop: () => ended(server),
  };
}

async function startNginx(directory: string): Promise<Contestant | string> {
  if (!existsSync('/usr/sbin/nginx')) return 'nginx-light';
  if ((await finished('bash', ['-c', 'command -v curl'])).code !== 0) return 'curl';
  const at = (name: string) => join(directory, name);
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('key.pem')];
  await mustRun('openssl', ['req', '-x509', '-days', '2', ...subject, ...key, '-out', at('cert.pem')]);
  const port = await freePort();
  mkdirSync(at('root'));
  writeFileSync(at('nginx.conf'), nginxConfiguration(directory, port));
  const server = spawn('/usr/sbin/nginx', ['-c', at('nginx.conf'), '-e', at('error.log'), '-p', directory], {
    stdio: 'ignore',
  });
  await listening(port);
  return {
    name: 'curl+nginx',
    serverPid: server.pid ?? 0,
    environment: process.env,
    stored: (name) => join(directory, 'root', name),
    get: (name, file) => [
      'curl',
      '-s',
      '--tlsv1.3',
      '--cacert',
      at('cert.pem'),
      '-o',
      file,
      `https://127.0.0.1:${port}/${name}`,
    ],
    stop: () => ended(server),
  };
}

// One process and no log: what is measured is the transfer.
function nginxConfiguration(directory: string, port: number): string {
  return `daemon off; master_process off; user root; pid ${directory}/nginx.pid;
events {}
http {
  access_log off; sendfile on;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/tmp-${name};`).join(' ')}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${directory}/cert.pem; ssl_certificate_key ${directory}/key.pem; ssl_protocols TLSv1.3;
    root ${directory}/root;
  }
}
`;
}

async function mustRun(program: string, parameters: readonly string[]): Promise<void> {
  const { code, output } = await finished(program, parameters);
  if (code !== 0) throw new Error(`${program} failed: ${output}`);
}

async function ended(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return;
  server.kill();
  await once(server, 'exit');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when somebody accepts connections on `port`. */
async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await new Promise<boolean>((resolve) =>
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false)),
    );
    socket.destroy();
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`Nobody listens on port ${port}.`);
}
