// Writes a throw-away certificate authority, and a server and a client certificate that it signed, into certs/ or
// the directory given. They are for trying things on one machine; what stood there is replaced.
import { join, resolve } from 'node:path';
import { generate } from 'selfsigned';

import { systemClock } from '../src/clock.ts';
import { writePrivateFile } from '../src/trust/private-file.ts';

const DAYS = 365;
const HOUR_MS = 3_600_000;
const SERVER_NAMES = ['localhost', '127.0.0.1', '::1'];
const CLIENT_NAME = 'developer';

type Extensions = NonNullable<NonNullable<Parameters<typeof generate>[1]>['extensions']>;
interface Pair {
  cert: string;
  key: string;
}

const directory = resolve(process.argv[2] ?? join(import.meta.dirname, '../certs'));

const authority = await issue('Sealift development CA', [
  { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
  { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
]);
const server = await issue(
  'localhost',
  leaf(
    { name: 'extKeyUsage', serverAuth: true },
    SERVER_NAMES.map((name) => (/[\d:]$/.test(name) ? { type: 7, ip: name } : { type: 2, value: name })),
  ),
  authority,
);
const client = await issue(
  CLIENT_NAME,
  leaf({ name: 'extKeyUsage', clientAuth: true }, [{ type: 2, value: CLIENT_NAME }]),
  authority,
);

await write('ca', authority, '', 'the authority: --ca of clients, --client-ca of servers');
await write('server', server, authority.cert, `for ${SERVER_NAMES.join(', ')}: --cert and --key of a server`);
await write('client', client, authority.cert, `for ${CLIENT_NAME}: --cert and --key of a client`);

async function issue(commonName: string, extensions: Extensions, ca?: Pair): Promise<Pair> {
  const notBeforeMs = systemClock.now() - HOUR_MS;
  const made = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(notBeforeMs),
    notAfterDate: new Date(notBeforeMs + DAYS * 24 * HOUR_MS),
    extensions,
    ...(ca && { ca }),
  });
  return { cert: `${made.cert.trim()}\n`, key: made.private };
}

function leaf(
  usage: Extensions[number],
  altNames: Extract<Extensions[number], { name: 'subjectAltName' }>['altNames'],
): Extensions {
  return [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, critical: true },
    usage,
    { name: 'subjectAltName', altNames },
  ];
}

async function write(name: string, { cert, key }: Pair, chain: string, purpose: string): Promise<void> {
  await writePrivateFile(join(directory, `${name}.key`), key);
  await writePrivateFile(join(directory, `${name}.pem`), cert + chain);
  console.log(`${join(directory, name)}.pem and .key: ${purpose}`);
}
