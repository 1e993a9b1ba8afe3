import { Command } from 'commander';

import type { ConnectOptions } from '../../client/connect.ts';
import { abortedError, systemClock } from '../../clock.ts';
import { latencyOf } from '../../diagnostics/latency.ts';
import { ping, type PingOptions } from '../../diagnostics/ping.ts';
import type { ObservedFacts } from '../../diagnostics/requirements.ts';
import { RoundTrips } from '../../diagnostics/round-trips.ts';
import { handshakeProbe, type Handshake } from '../../diagnostics/timed-connect.ts';
import { SealiftError } from '../../errors.ts';
import { MAX_CONTENT_BYTES } from '../../protocol/limits.ts';
import { formatAddress } from '../../transport/address.ts';
import type { Peer } from '../../transport/peer.ts';
import { parseCount, parseDuration, parseSize } from '../../units.ts';
import { disposing } from '../disposing.ts';
import { interruptedCode } from '../endings.ts';
import { EXIT, exitCodeOf } from '../exit-codes.ts';
import { milliseconds, PingDisplay, rounded } from '../ping-display.ts';
import { parseServerText } from '../places.ts';
import { addRemoteCommand } from '../remote-command.ts';
import { peerFacts, requireSetting, unmetRequirement } from '../requirements.ts';
import type { RunContext } from '../run-context.ts';
import type { Runner } from '../runner.ts';
import { setting } from '../settings.ts';

/** `sealift ping REMOTE` */
export function addPing(program: Command, run: Runner): void {
  const command = new Command('ping')
    .description('measure round trips through the protocol')
    .argument('<remote>', 'host, host:port, name or sealift://host:port')
    .addOption(
      setting('-c, --count <count>', 'how many; 0: until interrupted', (text) => parseCount(text)).default(4),
    )
    .addOption(
      setting('-i, --interval <duration>', 'between two of them', parseDuration).default(1_000, '1s'),
    )
    .addOption(setting('-s, --size <size>', 'bytes to send, which come back', parsePayload).default(56))
    .addOption(
      setting('-W, --wait <duration>', 'an answer that takes longer is lost', parseDuration).default(
        5_000,
        '5s',
      ),
    )
    .addOption(setting('--handshakes', 'measure whole connections instead: TCP, TLS and hello'))
    .addOption(requireSetting());
  addRemoteCommand(program, run, command, async (context, [remote]) => {
    const { settings, signal } = context;
    const options = await context.connectOptions(parseServerText(String(remote)));
    const pingOptions = {
      count: settings['count'] === 0 ? Infinity : (settings['count'] as number),
      intervalMs: settings['interval'] as number,
      waitMs: settings['wait'] as number,
      signal,
    };
    return settings['handshakes'] === true
      ? pingHandshakes(context, options, pingOptions)
      : pingRoundTrips(context, options, pingOptions);
  });
}

async function pingRoundTrips(
  context: RunContext,
  options: ConnectOptions,
  pingOptions: PingOptions,
): Promise<number> {
  const size = context.settings['size'] as number;
  const trips = new RoundTrips(options, size);
  return disposing(trips, async () => {
    const startMs = systemClock.monotonicMs();
    const { client, tlsMs } = await trips.connection(context.signal);
    const place = formatAddress(client.address);
    const { address, tlsVersion, cipher } = client.peer;
    const display = new PingDisplay(context.terminal, place, 'rtt');
    display.begin(`(${address || 'socket'}) ${size} bytes of data, ${tlsVersion}, ${cipher}`);
    for await (const outcome of ping(trips.probe, pingOptions))
      display.tell(outcome, { line: ({ sequence }) => `${size} bytes from ${place}: seq=${sequence}` });
    const observed = { handshakeMs: tlsMs, rttMs: display.averageMs };
    return ended(context, display, { place, peer: client.peer, observed, startMs, hasConnected: true });
  });
}

async function pingHandshakes(
  context: RunContext,
  options: ConnectOptions,
  pingOptions: PingOptions,
): Promise<number> {
  const startMs = systemClock.monotonicMs();
  const place = formatAddress(options.address);
  const display = new PingDisplay(context.terminal, place, 'connection');
  let hasConnected = false;
  const onConnected = () => (hasConnected = true);
  display.begin('with a new connection each time');
  const replies: Handshake[] = [];
  for await (const outcome of ping(handshakeProbe({ ...options, onConnected }), pingOptions)) {
    if (outcome.reply !== undefined) replies.push(outcome.reply);
    display.tell(outcome, {
      line: ({ sequence, reply }) => `connected to ${place}: seq=${sequence} ${steps(reply)}`,
      fields: ({ tcpMs, tlsMs, helloMs }) => ({
        tcpMs: rounded(tcpMs),
        tlsMs: rounded(tlsMs),
        helloMs: rounded(helloMs),
      }),
    });
  }
  const handshakeMs = latencyOf(replies.map(({ tlsMs }) => tlsMs))?.avg;
  const peer = replies.at(-1)?.peer;
  return ended(context, display, { place, peer, observed: { handshakeMs }, startMs, hasConnected });
}

function steps({ tcpMs, tlsMs, helloMs }: Handshake): string {
  return `tcp=${milliseconds(tcpMs)} tls=${milliseconds(tlsMs)} hello=${milliseconds(helloMs)}`;
}

interface Ending {
  place: string;
  peer: Peer | undefined;
  observed: Pick<ObservedFacts, 'handshakeMs' | 'rttMs'>;
  startMs: number;
  hasConnected: boolean;
}

/** Sums up, also when interrupted from the keyboard, as `ping` does; fails if nothing came back, or not as required. */
function ended({ terminal, settings, signal }: RunContext, display: PingDisplay, ending: Ending): number {
  if (signal.aborted && interruptedCode(signal) !== EXIT.interrupted) throw abortedError(signal);
  const { place, peer, observed, startMs, hasConnected } = ending;
  const failure =
    display.receivedCount === 0
      ? (display.failure ?? new SealiftError('stalled', `No answer came from ${place}.`))
      : unmetRequirement(settings, { ...peerFacts(peer), ...observed }, place);
  const exitCode = failure === undefined ? EXIT.done : exitCodeOf(failure, hasConnected);
  display.end(systemClock.monotonicMs() - startMs, {
    tlsVersion: peer?.tlsVersion,
    cipher: peer?.cipher,
    exitCode,
  });
  if (failure !== undefined) terminal.failure('ping', failure);
  return exitCode;
}

function parsePayload(text: string): number {
  const bytes = parseSize(text);
  if (bytes <= MAX_CONTENT_BYTES) return bytes;
  throw new SealiftError('usage', `${text} is more than the protocol echoes at once, which is 1M.`);
}
