// Has testssl.sh and sslscan (Debian packages of these names) look at a server of this project, and fails if they find
// anything above "low" in its protocols, ciphers and known vulnerabilities, or miss TLS 1.3. Installs nothing.
//
// Certificates are judged by the tests: what these programs miss in one (where a browser would ask whether it was
// revoked) belongs to public authorities.
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What testssl.sh says of one thing that it looked at. */
interface Finding {
  id: string;
  severity: string;
  finding: string;
}

const TESTSSL_CHECKS = ['--protocols', '--std', '--pfs', '--server-preference', '--vulnerable'];
const SEVERE: readonly string[] = ['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'];
/** Of these it only says what it saw. */
const PLAIN: readonly string[] = ['OK', 'INFO', 'DEBUG'];
const SETTINGS: readonly (readonly string[])[] = [[], ['--min-tls', '1.2']];

const missing = ['testssl', 'sslscan'].filter((program) => spawnSync(program, ['--version']).error);
if (missing.length > 0) {
  console.error(`Not installed: ${missing.join(', ')} (Debian: apt-get install testssl.sh sslscan).`);
  process.exit(1);
}

const directory = mkdtempSync(join(tmpdir(), 'sealift-audit-'));
let problems = 0;
try {
  for (const settings of SETTINGS) problems += await audit(settings);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
if (problems > 0) process.exitCode = 1;

/** Looks at a server with these settings; resolves with the number of what should not be. */
async function audit(settings: readonly string[]): Promise<number> {
  const root = mkdtempSync(join(directory, 'root-'));
  const { server, place } = await serve(root, settings);
  try {
    const scan = await sslscan(place);
    const found = await testssl(place, join(root, 'findings.json'));
    const severe = found.filter(({ severity }) => SEVERE.includes(severity));
    const title = ['sealift serve', ...settings].join(' ');
    console.log(`${title}: sslscan lists ${scan.join(', ')}; testssl.sh made ${found.length} findings.`);
    for (const { severity, id, finding } of found.filter(({ severity }) => !PLAIN.includes(severity)))
      console.log(`  ${severity} ${id}: ${finding}`);
    if (!scan.includes('TLSv1.3')) console.log('  sslscan does not list TLS 1.3.');
    return severe.length + (scan.includes('TLSv1.3') ? 0 : 1);
  } finally {
    server.kill();
  }
}

async function serve(
  root: string,
  settings: readonly string[],
): Promise<{ server: ChildProcess; place: string }> {
  const args = ['src/cli/main.ts', 'serve', root, '--json', '--host', '127.0.0.1', '--port', '0', '--quiet'];
  const server = spawn(process.execPath, [...args, ...settings], { stdio: ['ignore', 'pipe', 'ignore'] });
  for await (const line of createInterface({ input: server.stdout })) {
    const event = JSON.parse(line) as { type: string; port?: number };
    if (event.type === 'listening') return { server, place: `127.0.0.1:${event.port}` };
  }
  throw new Error('the server did not begin to listen');
}

/** The versions of TLS that sslscan found enabled. */
async function sslscan(place: string): Promise<string[]> {
  const { stdout } = await run('sslscan', ['--no-colour', place]);
  return [...stdout.matchAll(/^(\S+)\s+enabled$/gm)].map(([, version = '']) => version);
}

async function testssl(place: string, file: string): Promise<Finding[]> {
  const args = ['--quiet', '--color', '0', '--ip', 'one', '--warnings', 'off', '--jsonfile', file];
  // It ends with the number of what it dislikes, which is judged below.
  await run('testssl', [...args, ...TESTSSL_CHECKS, place]).catch(() => undefined);
  return JSON.parse(readFileSync(file, 'utf8')) as Finding[];
}
