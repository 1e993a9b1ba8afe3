// Writes a throw-away certificate authority, and a server and a client certificate that it signed, into certs/ or
// the directory given. They are for trying things on one machine; what stood there is replaced.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { join, resolve } from 'node:path';

import { systemClock } from '../src/clock.ts';
import { systemRandom } from '../src/random.ts';
import { serverNames } from '../src/trust/certificate-names.ts';
import { writePrivateFile } from '../src/trust/private-file.ts';
import { newKey } from '../src/trust/private-key.ts';
import { signedCertificate, type CertificateContent } from '../src/trust/signed-certificate.ts';
import { validFor } from '../src/trust/validity.ts';

const DAYS = 365;
const SERVER_NAMES = ['localhost', '127.0.0.1', '::1'];
const CLIENT_NAME = 'developer';

interface Pair {
  cert: string;
  key: string;
}

const directory = resolve(process.argv[2] ?? join(import.meta.dirname, '../certs'));

const authority = await issue({ subject: 'Sealift development CA', usages: [] });
const server = await issue(
  { subject: 'localhost', usages: ['server'], names: serverNames(SERVER_NAMES) },
  authority,
);
const client = await issue(
  { subject: CLIENT_NAME, usages: ['client'], names: [{ type: 'dns', value: CLIENT_NAME }] },
  authority,
);

await write('ca', authority, '', 'the authority: --ca of clients, --client-ca of servers');
await write('server', server, authority.cert, `for ${SERVER_NAMES.join(', ')}: --cert and --key of a server`);
await write('client', client, authority.cert, `for ${CLIENT_NAME}: --cert and --key of a client`);

async function issue(
  content: Pick<CertificateContent, 'subject' | 'usages' | 'names'>,
  ca?: Pair,
): Promise<Pair> {
  const key = newKey();
  const issuer = { key: createPrivateKey(ca?.key ?? key), certificate: ca?.cert };
  const certified = { publicKey: createPublicKey(key), validity: validFor(DAYS, systemClock) };
  return { cert: await signedCertificate({ ...content, ...certified }, issuer, systemRandom), key };
}

async function write(name: string, { cert, key }: Pair, chain: string, purpose: string): Promise<void> {
  await writePrivateFile(join(directory, `${name}.key`), key);
  await writePrivateFile(join(directory, `${name}.pem`), cert + chain);
  console.log(`${join(directory, name)}.pem and .key: ${purpose}`);
}
