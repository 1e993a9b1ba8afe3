// Has `openssl s_client` and sslscan look at ten servers that `sealift doctor` looks at, too, and fails where they see
// another version, cipher, group, name, date or fingerprint. Needs openssl, nginx, stunnel4 and sslscan; installs nothing.
import { execFile, spawnSync } from 'node:child_process';
import { constants, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createListener, type AddressInfo } from 'node:net';
import { promisify } from 'node:util';

import { diagnose, type Diagnosis } from '../src/diagnostics/doctor.ts';
import { parseAddress } from '../src/transport/address.ts';
import { groupName } from '../src/transport/peer.ts';
import { issueAuthority, issueCertificate, type Pair } from '../test/support/certificates.ts';
import { CliHome } from '../test/support/cli.ts';
import { nginxServers, opensslServer, stunnelServer } from '../test/support/tls-servers.ts';

const run = promisify(execFile);
const PROGRAMS: Readonly<Record<string, string>> = {
  openssl: 'version',
  nginx: '-v',
  stunnel4: '-version',
  sslscan: '--version',
};
/** The cipher suites that this program offers; others would be a question of taste. */
const CIPHERS = constants.defaultCipherList;

const missing = Object.keys(PROGRAMS).filter(
  (program) => spawnSync(program, [PROGRAMS[program] ?? '']).error,
);
if (missing.length > 0) {
  console.error(`Not installed: ${missing.join(', ')}.`);
  process.exit(1);
}

const home = new CliHome();
try {
  const { host, port } = await home.serve();
  const places = [...(await others()), ['sealift', `${host}:${port}`] as const];
  for (const [name, place] of places) {
    const differences = await compare(place);
    console.log(`${name}: ${differences.length === 0 ? 'all agree' : differences.join('; ')}`);
    if (differences.length > 0) process.exitCode = 1;
  }
} finally {
  await home.close();
}

async function others(): Promise<[string, string][]> {
  const plain = await issueCertificate({
    names: ['localhost', 'box.example', '*.box.example', '127.0.0.1', '::1'],
  });
  const rsa = await rsaPair(2_048);
  const openssl = async (name: string, pair: Pair, ...args: string[]): Promise<[string, string]> => [
    `openssl s_server, ${name}`,
    await opensslServer(home, name, pair, args),
  ];
  return [
    await openssl('EC', plain),
    await openssl('RSA', rsa),
    await openssl('P-384', plain, '-groups', 'P-384'),
    await openssl('P-256', plain, '-groups', 'P-256'),
    await openssl('ChaCha20', plain, '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256'),
    await openssl('TLS-1.2', rsa, '-tls1_2'),
    await openssl('weak', await rsaPair(1_024), '-cipher', 'ALL:@SECLEVEL=0'),
    ['nginx', await nginxOnTcp(plain)],
    ['stunnel', await stunnelServer(home, 'stunnel', plain)],
  ];
}

/** sslscan knows no sockets, and nginx takes no port that is free: somebody else might take it just now. */
async function nginxOnTcp(pair: Pair): Promise<string> {
  const listener = createListener().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const place = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
  listener.close();
  await once(listener, 'close');
  await nginxServers(home, { nginx: { pair, lines: `listen ${place} ssl;` } });
  return place;
}

async function rsaPair(modulusLength: number): Promise<Pair> {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength });
  return issueCertificate({
    ca: await issueAuthority(),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  });
}

/** What the three see of a server, wherever it is not the same. */
async function compare(place: string): Promise<string[]> {
  const address = parseAddress(place);
  if (address === undefined) throw new Error(`${place} is no address`);
  const diagnosis = await diagnose({ server: { address } });
  const scan = (await run('sslscan', ['--no-colour', place])).stdout;
  const client = await seenByOpenssl(place);
  const ours = factsOf(diagnosis);
  return [...differences('openssl', ours, client), ...(await scanDifferences(ours, scan))].filter(
    // Programs that were built before it was invented take another one.
    (difference) => !difference.startsWith('group: doctor X25519MLKEM768,') || hasPostQuantum(),
  );
}

type Facts = Record<
  'version' | 'cipher' | 'names' | 'notBefore' | 'notAfter' | 'sha256' | 'group',
  string | undefined
>;

function factsOf({ tls, certificate }: Diagnosis): Facts {
  const date = (text: string | undefined) => text?.replace('.000Z', '');
  return {
    version: tls?.version ?? undefined,
    cipher: tls?.cipher ?? undefined,
    group: tls?.group ?? undefined,
    names: certificate?.names.join(', '),
    notBefore: date(certificate?.notBefore),
    notAfter: date(certificate?.notAfter),
    sha256: certificate?.sha256,
  };
}

async function seenByOpenssl(place: string): Promise<Facts> {
  const client = spawnSync('openssl', ['s_client', '-connect', place, '-cipher', `${CIPHERS}:@SECLEVEL=0`], {
    input: '',
    encoding: 'utf8',
  }).stdout;
  const [, version, cipher = ''] = /^New, (\S+), Cipher is (\S+)$/m.exec(client) ?? [];
  const key = /^Server Temp Key: (?:ECDH, )?([^,\n]+)/m.exec(client)?.[1];
  const wanted = [
    '-noout',
    '-dates',
    '-fingerprint',
    '-sha256',
    '-ext',
    'subjectAltName',
    '-dateopt',
    'iso_8601',
  ];
  const text = spawnSync('openssl', ['x509', ...wanted], { input: client, encoding: 'utf8' }).stdout;
  const line = (name: string) => new RegExp(`${name}=(.+)`, 'i').exec(text)?.[1];
  const date = (name: string) => line(name)?.replace(' ', 'T').replace('Z', '');
  return {
    version,
    cipher: await standardName(cipher),
    group: key === undefined ? undefined : groupName(key),
    names: namesIn(/Alternative Name:\s*\n\s*(.+)/.exec(text)?.[1]),
    notBefore: date('notBefore'),
    notAfter: date('notAfter'),
    sha256: line('fingerprint'),
  };
}

/** Whether the OpenSSL of this machine knows X25519MLKEM768. */
function hasPostQuantum(): boolean {
  const { stdout } = spawnSync('openssl', ['version'], { encoding: 'utf8' });
  return !/^OpenSSL (?:[12]\.|3\.[0-4]\.)/.test(stdout);
}

async function standardName(cipher: string): Promise<string> {
  const { stdout } = await run('openssl', ['ciphers', '-stdname', 'ALL:@SECLEVEL=0']);
  return (
    stdout
      .split('\n')
      .find((line) => line.split(/\s+/)[2] === cipher)
      ?.split(/\s+/)[0] ?? cipher
  );
}

function namesIn(text = ''): string {
  const shortest = (name: string) => (name === '0:0:0:0:0:0:0:1' ? '::1' : name);
  return text
    .split(', ')
    .map((name) => shortest(name.replace(/^(DNS|IP Address):/, '').trim()))
    .join(', ');
}

function differences(program: string, ours: Partial<Facts>, theirs: Partial<Facts>): string[] {
  return (Object.keys(theirs) as (keyof Facts)[])
    .filter((name) => ours[name] !== theirs[name])
    .map((name) => `${name}: doctor ${ours[name]}, ${program} ${theirs[name]}`);
}

/** sslscan lists all versions, ciphers and groups that a server has, and of the certificate no fingerprint. */
async function scanDifferences(ours: Facts, scan: string): Promise<string[]> {
  const versions = [...scan.matchAll(/^(TLSv1\.\d)\s+enabled/gm)].map(([, version]) => version);
  const suites = [...scan.matchAll(/^(?:Preferred|Accepted)\s+TLS\S+\s+\d+ bits\s+(\S+)/gm)];
  const ciphers = await Promise.all(suites.map(([, cipher = '']) => standardName(cipher)));
  const groups = [...scan.matchAll(/^TLS\S+\s+\d+ bits\s+([\w]+)(?: \(.*\))?$/gm)].map(
    ([, name = '']) => name,
  );
  const sameGroup = groups.find((name) => name.toLowerCase() === ours.group?.toLowerCase());
  const date = (name: string) => {
    const text = new RegExp(`Not valid ${name}:\\s+(.+)`).exec(scan)?.[1] ?? '';
    return new Date(text).toISOString().replace('.000Z', '');
  };
  return differences('sslscan', ours, {
    version: versions.at(-1),
    cipher: ciphers.find((cipher) => cipher === ours.cipher),
    // For what it has no name it lists nothing, or only others.
    group: sameGroup === undefined && ours.version === 'TLSv1.3' ? groups.join(' ') : ours.group,
    names: namesIn(/Altnames:\s+(.+)/.exec(scan)?.[1]),
    notBefore: date('before'),
    notAfter: date('after'),
  });
}
