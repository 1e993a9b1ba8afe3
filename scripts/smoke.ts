// Installs the package as a user would and runs it on the oldest Node of each supported line, and on one
// that is too old.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const supported = ['22.22.0', '24.5.0', '26.0.0'];
const tooOld = '20.20.2';

const directory = mkdtempSync(join(tmpdir(), 'sealift-smoke-'));
try {
  const sealift = installedProgram();
  for (const version of supported) {
    const node = nodeProgram(version);
    printsItsVersion(node, sealift);
    await roundTrip(node, sealift, version);
    console.log(`Node ${version}: the installed package works.`);
  }
  refusesPolitely(nodeProgram(tooOld), sealift);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** Packs the package, installs it into an empty project, and tells where its program is. */
function installedProgram(): string {
  const project = join(directory, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "private": true }');
  npm('.', 'pack', '--pack-destination', directory);
  const tarball = readdirSync(directory).find((name) => name.endsWith('.tgz')) ?? 'no package was made';
  npm(project, 'install', join(directory, tarball));
  const lock = readFileSync(join(project, 'package-lock.json'), 'utf8');
  if (lock.includes('hasInstallScript')) throw new Error('a dependency runs a script when it is installed');
  return join(project, 'node_modules/.bin/sealift');
}

/** Brings a Node of this version from the package registry. */
function nodeProgram(version: string): string {
  const home = join(directory, `node-${version}`);
  mkdirSync(home);
  const name = `node-${process.platform}-${process.arch}`;
  npm(home, 'install', '--prefix', '.', `${name}@${version}`);
  return join(home, 'node_modules', name, 'bin/node');
}

function printsItsVersion(node: string, sealift: string): void {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const { stdout, stderr } = spawnSync(node, [sealift, '--version'], { encoding: 'utf8' });
  if (stdout.trim() !== version || stderr !== '')
    throw new Error(`sealift --version printed '${stdout}${stderr}'`);
}

/** Serves a directory, puts a file of several blocks and fetches it back, as a user's script would. */
async function roundTrip(node: string, sealift: string, version: string): Promise<void> {
  const home = mkdtempSync(join(directory, 'home-'));
  const env = { ...process.env, XDG_CONFIG_HOME: home, XDG_STATE_HOME: home };
  const parameters = [
    'serve',
    join(home, 'data'),
    '--host',
    '127.0.0.1',
    '--port',
    '0',
    '--anonymous',
    'write',
    '--json',
    '-q',
  ];
  const server = spawn(node, [sealift, ...parameters], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = (await once(createInterface({ input: server.stdout }), 'line')) as [string];
    const { port, pin } = JSON.parse(line) as { port: number; pin: string };
    const content = randomBytes(3 * 2 ** 20 + 1);
    writeFileSync(join(home, 'sent'), content);
    const remote = `sealift://127.0.0.1:${port}/dir/file`;
    execFileSync(node, [sealift, 'put', '-q', '--pin', pin, join(home, 'sent'), remote], { env });
    execFileSync(node, [sealift, 'get', '-q', '--pin', pin, remote, join(home, 'returned')], { env });
    if (!readFileSync(join(home, 'returned')).equals(content))
      throw new Error(`on Node ${version} the file came back changed`);
  } finally {
    server.kill();
    await once(server, 'exit');
  }
  if (server.exitCode !== 0)
    throw new Error(`on Node ${version} the server ended with ${String(server.exitCode)}`);
}

function refusesPolitely(node: string, sealift: string): void {
  const { status, stdout, stderr } = spawnSync(node, [sealift, '--version'], { encoding: 'utf8' });
  const oneLine = stderr.trimEnd().split('\n').length === 1;
  if (status === 0 || stdout !== '' || !oneLine || !stderr.includes('needs Node.js')) {
    throw new Error(`on Node ${tooOld} one sentence was expected, not: ${stdout}${stderr}`);
  }
  console.log(`Node ${tooOld}: ${stderr.trimEnd()}`);
}

function npm(cwd: string, ...parameters: string[]): void {
  execFileSync('npm', [...parameters, '--loglevel=error'], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
}
