import { systemClock } from '../clock.ts';
import { exchangeDatagrams } from '../diagnostics/datagram-exchange.ts';
import { exchangeEcho } from '../diagnostics/echo-exchange.ts';
import { SealiftError } from '../errors.ts';
import { formatAddress, type Address } from '../transport/address.ts';
import { openDatagramLink } from '../transport/datagrams.ts';
import { dialEcho } from '../transport/echo-client.ts';
import { certificatePin } from '../trust/pins.ts';
import { verifyServer } from '../trust/verify-server.ts';
import { formatDuration, formatSize } from '../units.ts';
import { tlsFields, tlsText } from './echo-display.ts';
import { EXIT } from './exit-codes.ts';
import { parseServerText } from './places.ts';
import type { RunContext } from './run-context.ts';
import { standardInput, standardOutput } from './standard-streams.ts';
import { tlsVariationIn } from './tls-settings.ts';

/** Sends standard input to an echo server, and what comes back to standard output. */
export async function sendEcho(context: RunContext, server: string | undefined): Promise<number> {
  return context.settings['udp'] === true ? sendDatagrams(context, server) : sendStream(context, server);
}

async function sendStream(context: RunContext, server: string | undefined): Promise<number> {
  const { settings, terminal, signal } = context;
  const { plain, unix, timeout = 60_000 } = settings;
  const isClear = plain === true || unix !== undefined;
  const { address, pins = [], calledBy, insecure, ...options } = await optionsFor(context, server);
  const place = formatAddress(address);
  // Before there is a connection, which a refusal would leave open.
  const input = standardInput();
  const { socket, peer } = await dialEcho({
    address,
    tls: { ...options, servername: settings['servername'] as string | undefined },
    variation: isClear ? undefined : tlsVariationIn(settings),
    verify: (judged) => verifyServer(judged, place, { pins, calledBy, insecure }, { isSealift: false }),
    clock: systemClock,
    connectTimeoutMs: options.connectTimeoutMs,
    signal,
  });
  terminal.event('connected', { address: place, ...(peer === undefined ? {} : tlsFields(peer)) });
  const pin = peer?.certificate === undefined ? '' : ` pin ${certificatePin(peer.certificate)}`;
  terminal.note(`sealift: connected to ${place}: ${peer === undefined ? 'no TLS' : tlsText(peer) + pin}`);
  const result = await exchangeEcho({
    socket,
    input,
    output: standardOutput(),
    place,
    timeoutMs: timeout as number,
    clock: systemClock,
    signal,
  });
  const { bytes, firstMs, elapsedMs } = result;
  terminal.event('summary', {
    bytes,
    firstMs: firstMs ?? null,
    seconds: elapsedMs / 1_000,
    exitCode: EXIT.done,
  });
  const first = firstMs === undefined ? '' : `, the first after ${firstMs.toFixed(1)}ms`;
  terminal.note(`sealift: all ${formatSize(bytes)} came back in ${formatDuration(elapsedMs)}${first}`);
  return EXIT.done;
}

async function sendDatagrams(context: RunContext, server: string | undefined): Promise<number> {
  const { settings, terminal, signal } = context;
  const { address } = await optionsFor(context, server);
  if ('path' in address) throw new SealiftError('usage', 'Datagrams go to HOST:PORT.');
  const { timeout = 2_000 } = settings;
  const input = standardInput();
  const link = await openDatagramLink({
    ...address,
    timeoutMs: timeout as number,
    clock: systemClock,
    signal,
  });
  try {
    const result = await exchangeDatagrams(link, {
      input,
      output: standardOutput(),
      onLost: (number) => terminal.note(`sealift: datagram ${number} did not come back`),
    });
    const { sent, returned, slowestMs } = result;
    const exitCode = returned === sent ? EXIT.done : EXIT.gaveUp;
    terminal.event('summary', { sent, returned, slowestMs, exitCode });
    terminal.note(
      `sealift: ${returned} of ${sent} datagrams came back from ${formatAddress(address)}, the slowest after ${slowestMs.toFixed(1)}ms`,
    );
    return exitCode;
  } finally {
    link.close();
    input.destroy();
  }
}

async function optionsFor(context: RunContext, server: string | undefined) {
  const { unix } = context.settings;
  const path: Address | undefined = typeof unix === 'string' ? { path: unix } : undefined;
  return context.connectOptions(path === undefined ? parseServerText(server ?? '') : { address: path });
}
