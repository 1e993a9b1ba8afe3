import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { afterAll, expect, test } from 'vitest';

import {
  connect,
  Connector,
  download,
  fileSink,
  openFileSource,
  PartialFile,
  upload,
} from '../../src/index.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { inThisProcess } from '../cli/run-here.ts';
import { issueCertificate, type Pair } from '../support/certificates.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { tokenOf, usersToml } from '../support/test-server.ts';

const MIB = 2 ** 20;
const RELOADS = 100;
const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
afterAll(() => home.close());

const names = ['localhost', '127.0.0.1'];

/** Replaces a file as careful programs do: a reader sees the old one or the new. */
function replace(name: string, text: string): void {
  writeFileSync(home.at(`${name}.new`), text, { mode: 0o600 });
  renameSync(home.at(`${name}.new`), home.at(name));
}

function replacePair({ cert, key }: Pair): void {
  replace('key.pem', key);
  replace('cert.pem', cert);
}

function pinOf({ cert }: Pair): string {
  return certificatePin(Buffer.from(cert));
}

const FILES = () => [
  '--cert',
  home.at('cert.pem'),
  '--key',
  home.at('key.pem'),
  '--users',
  home.at('users.toml'),
];

/** The lines of the server's log with that message. */
function logged({ process: server }: ServeProcess, message: string): string[] {
  return server.said.stderr.split('\n').filter((line) => line.includes(`"msg":"${message}"`));
}

async function untilLogged(server: ServeProcess, message: string, count: number): Promise<void> {
  await server.process.line(() => logged(server, message).length >= count);
}

test('100 reloads while files are sent and fetched: nothing fails, and nothing is left behind', async () => {
  const pairs = [await issueCertificate({ names }), await issueCertificate({ names })] as const;
  replacePair(pairs[0]);
  replace('users.toml', usersToml({ alice: {}, bob: {} }));
  const server = await home.serve([...FILES(), '--anonymous', 'none']);
  const { pid = 0 } = server.process.child;
  const address = { host: server.host, port: server.port };
  const access = { address, pins: pairs.map(pinOf), token: tokenOf('alice') };
  home.write('large', randomBytes(16 * MIB));

  let isOver = false;
  // Each on a new connection, which sees the certificate of the moment.
  const sendAndFetch = async (name: string) => {
    for (let n = 0; !isOver; n += 1) {
      const connector = new Connector(access);
      const source = await openFileSource(home.at('large'));
      await upload(connector, source, `${name}/${n % 3}`);
      await source[Symbol.asyncDispose]();
      const partial = await PartialFile.open(home.at(name), `${name}/${n % 3}`);
      await download(connector, `${name}/${n % 3}`, fileSink(partial));
      await partial[Symbol.asyncDispose]();
      await connector[Symbol.asyncDispose]();
    }
  };
  // And one that stands from the first to the last.
  const lasting = await connect(access);
  const sendSmall = async () => {
    for (let n = 0; !isOver; n += 1) await lasting.put(`small/${n % 100}`, randomBytes(1_000));
  };
  const loads = Promise.all([sendAndFetch('one'), sendAndFetch('two'), sendSmall()]);
  for (let n = 1; n <= RELOADS; n += 1) {
    replacePair(pairs[n % 2 === 0 ? 0 : 1]);
    replace('users.toml', usersToml(n % 2 === 0 ? { alice: {}, bob: {} } : { alice: {} }));
    server.process.child.kill('SIGHUP');
    await untilLogged(server, 'reloaded', n);
  }
  isOver = true;
  await loads;
  await lasting.close();
  for (const file of ['one/0', 'two/0'])
    expect(home.read(`root/${file}`).equals(home.read('large')), file).toBe(true);
  // Whatever a reload leaves behind, a hundred of them leave a hundred.
  expect(readdirSync(`/proc/${pid}/fd`).length).toBeLessThan(60);
  await server.process.kill('SIGTERM');
}, 60_000);

test('a changed file is seen without a signal; a faulty one is refused, and the old one stays', async () => {
  const pair = await issueCertificate({ names });
  replacePair(pair);
  replace('users.toml', usersToml({ alice: {} }));
  const server = await home.serve([...FILES(), '--anonymous', 'none'], home.at('other'));
  home.write('token', tokenOf('bob'));
  const list = () =>
    here.run(['ls', server.place(), '--retry', '0', '--pin', pinOf(pair), '--token-file', home.at('token')]);
  expect((await list()).code).toBe(5);
  replace('users.toml', usersToml({ alice: {}, bob: {} }));
  await untilLogged(server, 'reloaded', 1);
  expect((await list()).code).toBe(0);
  replace('users.toml', '[principals.bob]\npermissions = ["everything"]\n');
  await untilLogged(server, 'not reloaded; what was loaded before stays in use', 1);
  expect(server.process.said.stderr).toContain('permissions');
  expect((await list()).code).toBe(0);
  await server.process.kill('SIGTERM');
});

test('told while it starts, a server reads its files again as soon as it serves, and lives on', async () => {
  const passphrase = home.at('passphrase');
  execFileSync('mkfifo', ['-m', '600', passphrase]);
  const args = ['--json', '--host', '127.0.0.1', '--port', '0', '--client-ca-passphrase-file', passphrase];
  const server = home.start(['serve', home.at('told early'), ...args]);
  // Resolves when the server has opened the other end, and waits.
  const pipe = await open(passphrase, 'w');
  server.child.kill('SIGHUP');
  await pipe.write('a passphrase\n');
  await pipe.close();
  await server.event('listening');
  await server.line((line) => line.includes('"msg":"reloaded"'));
  expect(await server.kill('SIGTERM')).toMatchObject({ code: 0, signal: null });
});

/** Lays a pair down as certbot does: numbered files in archive/, to which the links in live/ then lead. */
function renewAsCertbot({ cert, key }: Pair, number: number): void {
  mkdirSync(home.at('letsencrypt/live/localhost'), { recursive: true });
  for (const [kind, text] of [
    ['fullchain', cert],
    ['privkey', key],
  ] as const) {
    home.write(`letsencrypt/archive/localhost/${kind}${number}.pem`, text);
    const link = home.at(`letsencrypt/live/localhost/${kind}.pem`);
    rmSync(link, { force: true });
    symlinkSync(`../../archive/localhost/${kind}${number}.pem`, link);
  }
}

test('what certbot renews is taken into use without a signal', async () => {
  const [before, after] = [await issueCertificate({ names }), await issueCertificate({ names })];
  renewAsCertbot(before, 1);
  const live = (kind: string) => home.at(`letsencrypt/live/localhost/${kind}.pem`);
  const server = await home.serve(['--cert', live('fullchain'), '--key', live('privkey')], home.at('acme'));
  const list = (pair: Pair) => here.run(['ls', server.place(), '--retry', '0', '--pin', pinOf(pair)]);
  expect((await list(before)).code).toBe(0);
  expect((await list(after)).code).toBe(6);
  renewAsCertbot(after, 2);
  await untilLogged(server, 'reloaded', 1);
  expect((await list(after)).code).toBe(0);
  expect((await list(before)).code).toBe(6);
  await server.process.kill('SIGTERM');
});
