import { hostname } from 'node:os';
import { X509Certificate } from 'node:crypto';

import { systemClock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { systemRandom } from '../random.ts';
import { formatAddress, type Address } from '../transport/address.ts';
import { startDatagramEcho } from '../transport/datagrams.ts';
import {
  startEchoServer,
  type EchoConnection,
  type EchoObserver,
  type EchoTls,
} from '../transport/echo-server.ts';
import { isCertificateName } from '../trust/certificate-names.ts';
import { certificatePin } from '../trust/pins.ts';
import { assertPrivate } from '../trust/private-file.ts';
import { createIdentity } from '../trust/server-identity.ts';
import { formatSize } from '../units.ts';
import { connectionText, tlsFields } from './echo-display.ts';
import { EXIT } from './exit-codes.ts';
import { untilStopped } from './hangup.ts';
import { ANYWHERE, listenText, type HostPort } from './listen-address.ts';
import { certificates, readText, type RunContext } from './run-context.ts';
import type { Settings } from './settings.ts';
import type { Terminal } from './terminal.ts';
import { tlsVariationIn } from './tls-settings.ts';

/** Days that the certificate of a server is valid that was given none. */
const DAYS = 30;

/** Is an echo server until it is told to stop. */
export async function serveEcho(context: RunContext): Promise<number> {
  const { settings, signal } = context;
  const tally = { connections: 0, bytes: 0, refused: 0 };
  const server = settings['udp'] === true ? await datagrams(context, tally) : await streams(context, tally);
  await untilStopped(signal, () => undefined);
  await server.close();
  const { connections, bytes, refused } = tally;
  context.terminal.event('summary', { ...tally, exitCode: EXIT.done });
  const what = settings['udp'] === true ? 'datagrams' : 'connections';
  context.terminal.note(
    `sealift: ${what}: ${connections}, sent back: ${formatSize(bytes)}, refused: ${refused}`,
  );
  return EXIT.done;
}

/** What a run counts. */
interface EchoTally {
  /** Or datagrams. */
  connections: number;
  bytes: number;
  refused: number;
}

async function streams(
  { settings, terminal }: RunContext,
  tally: EchoTally,
): Promise<{ close(): Promise<void> }> {
  const { unix, plain, idleTimeout } = settings;
  const isClear = plain === true || unix !== undefined;
  const tls = isClear ? undefined : await tlsIn(settings);
  const server = await startEchoServer({
    address: typeof unix === 'string' ? { path: unix } : listenAddress(settings),
    tls,
    idleTimeoutMs: idleTimeout as number,
    clock: systemClock,
    observer: observerFor(terminal, tally),
  });
  const pin = tls && certificatePin(new X509Certificate(tls.cert));
  announce(terminal, server.address, pin === undefined ? 'without TLS' : `with the pin ${pin}`, { pin });
  return server;
}

async function datagrams(
  { settings, terminal }: RunContext,
  tally: EchoTally,
): Promise<{ close(): Promise<void> }> {
  const { host, port } = listenAddress(settings);
  const server = await startDatagramEcho({
    host,
    port,
    onDatagram: (from, bytes, isAnswered) => {
      tally.connections += 1;
      tally.bytes += isAnswered ? bytes : 0;
      tally.refused += isAnswered ? 0 : 1;
      terminal.event('datagram', { ...from, bytes, isAnswered });
      const outcome = isAnswered ? 'sent back' : 'not sent back: a port of services';
      terminal.note(`${formatAddress({ ...from, host: from.address })} ${bytes} bytes, ${outcome}`);
    },
  });
  announce(terminal, { host, port: server.port }, 'for datagrams', {});
  return server;
}

function announce(
  terminal: Terminal,
  address: Address,
  how: string,
  more: { pin?: string | undefined },
): void {
  terminal.event('listening', { ...address, ...more });
  if (terminal.options.json) return;
  const place = 'path' in address ? formatAddress(address) : listenText(address);
  terminal.data(`sealift: echo on ${place} ${how}`);
}

function observerFor(terminal: Terminal, tally: EchoTally): EchoObserver {
  const fields = ({ number, address, port, tls }: EchoConnection) => ({
    connection: number,
    address,
    port,
    ...(tls === undefined ? {} : tlsFields(tls)),
  });
  return {
    onConnected: (connection) => {
      tally.connections += 1;
      terminal.event('connected', fields(connection));
      terminal.note(connectionText(connection));
    },
    onClosed: ({ number, bytes }, reason) => {
      tally.bytes += bytes;
      terminal.event('closed', { connection: number, bytes, ...(reason === undefined ? {} : { reason }) });
      terminal.note(
        `#${number} closed: ${formatSize(bytes)} sent back${reason === undefined ? '' : ` (${reason})`}`,
      );
    },
    onRefused: (reason, address) => {
      tally.refused += 1;
      terminal.event('refused', { address, reason });
      terminal.note(`refused ${address === '' ? 'a client' : address}: ${reason}`);
    },
  };
}

async function tlsIn(settings: Settings): Promise<EchoTls> {
  const { clientCa, requestClientCert, requireClientCert } = settings;
  if (requireClientCert === true && clientCa === undefined)
    throw new SealiftError(
      'usage',
      '--require-client-cert needs --client-ca: whose certificates are to be let in.',
    );
  return {
    ...tlsVariationIn(settings),
    ...(await identityIn(settings)),
    clientCertificate:
      requireClientCert === true ? 'required' : requestClientCert === true ? 'requested' : 'none',
    clientCa: await certificates(clientCa as string | undefined),
  };
}

/** The certificate and key that are given, or a pair that is made now and forgotten afterwards. */
async function identityIn({ cert, key }: Settings): Promise<{ cert: string; key: string }> {
  if (typeof cert === 'string' && typeof key === 'string') {
    await assertPrivate(key);
    return { cert: await readText(cert), key: await readText(key) };
  }
  if (cert !== undefined || key !== undefined)
    throw new SealiftError(
      'usage',
      'A certificate needs its key, and a key its certificate: give --cert and --key.',
    );
  const names = [...new Set(['localhost', '127.0.0.1', '::1', hostname()])].filter(isCertificateName);
  return createIdentity({ names, clock: systemClock, random: systemRandom, days: DAYS });
}

/** `--listen` without a value is the usual port. */
function listenAddress({ listen }: Settings): HostPort {
  return listen === true ? ANYWHERE : (listen as HostPort);
}
