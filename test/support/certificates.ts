import { generate } from 'selfsigned';

/** A certificate and its key, both PEM. */
export interface Pair {
  cert: string;
  key: string;
}

export interface CertificateRequest {
  commonName?: string;
  /** DNS names and IP addresses; default those of this machine's loopback. */
  names?: string[];
  notBefore?: Date;
  notAfter?: Date;
  /** Signs it; default: itself. */
  ca?: Pair;
}

const LOOPBACK = ['localhost', '127.0.0.1', '::1'];
const HOUR_MS = 3_600_000;

/** A certificate for a server or a client, valid now unless told otherwise. Real TLS judges it by the real time. */
export async function issueCertificate({
  commonName = 'localhost',
  names = LOOPBACK,
  notBefore = new Date(Date.now() - HOUR_MS),
  notAfter = new Date(Date.now() + HOUR_MS),
  ca,
}: CertificateRequest = {}): Promise<Pair> {
  return generated(commonName, {
    notBeforeDate: notBefore,
    notAfterDate: notAfter,
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      {
        name: 'subjectAltName',
        altNames: names.map((name) =>
          /[\d:]$/.test(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name },
        ),
      },
    ],
    ...(ca && { ca }),
  });
}

/** An authority to sign certificates with. */
export async function issueAuthority(): Promise<Pair> {
  return generated('Test authority', {
    notBeforeDate: new Date(Date.now() - HOUR_MS),
    notAfterDate: new Date(Date.now() + HOUR_MS),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
}

let loopback: Promise<Pair> | undefined;

/** The self-signed certificate that test servers show; made once per file of tests. */
export function loopbackCertificate(): Promise<Pair> {
  return (loopback ??= issueCertificate());
}

async function generated(commonName: string, options: Parameters<typeof generate>[1]): Promise<Pair> {
  const made = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    ...options,
  });
  return { cert: made.cert, key: made.private };
}
