import type { Command } from 'commander';

import { systemClock } from '../../clock.ts';
import { chaosFaults, ChaosTally } from '../../diagnostics/chaos.ts';
import { SealiftError } from '../../errors.ts';
import { seededRandom, systemRandom } from '../../random.ts';
import { formatAddress, parseAddress } from '../../transport/address.ts';
import type { FaultEvent } from '../../transport/fault-event.ts';
import { startFaultProxy, type FaultProxy } from '../../transport/fault-proxy.ts';
import type { Faults } from '../../transport/fault-settings.ts';
import { formatSize, parseCount, parseDuration, parseSize } from '../../units.ts';
import { eventText, faultsText } from '../chaos-display.ts';
import { EXIT } from '../exit-codes.ts';
import { untilStopped } from '../hangup.ts';
import { listenText, parseListenAddress, type HostPort } from '../listen-address.ts';
import type { RunContext } from '../run-context.ts';
import type { Runner } from '../runner.ts';
import { setting, type Settings } from '../settings.ts';
import type { Terminal } from '../terminal.ts';

/** `sealift chaos --listen :PORT --to HOST:PORT` */
export function addChaos(program: Command, run: Runner): void {
  const command = program
    .command('chaos')
    .description('stand in front of a server as a bad network: a TCP proxy that delays, cuts and damages')
    .addOption(setting('--listen <address>', 'accept here: HOST:PORT, or :PORT', parseListenAddress))
    .addOption(setting('--to <address>', 'forward there: HOST:PORT', parseTarget))
    .addOption(setting('--latency <duration>', 'deliver so much later, each way', parseDuration))
    .addOption(setting('--jitter <duration>', 'vary that by so much, up and down', parseDuration))
    .addOption(setting('--rate <rate>', 'bytes per second of each connection, each way', positive(parseSize)))
    .addOption(
      setting('--drop-after <size>', 'close a connection after so many bytes, both ways together', parseSize),
    )
    .addOption(
      setting('--reset-every <duration>', 'reset all connections, so often', positive(parseDuration)),
    )
    .addOption(setting('--stall-after <size>', 'go silent after so many bytes, each way', parseSize))
    .addOption(setting('--corrupt-at <position>', 'flip a bit of that byte, each way', parseSize))
    .addOption(setting('--split <size>', 'forward pieces of so many bytes', positive(parseSize)))
    .addOption(setting('--blackhole', 'accept connections, and never answer'))
    .addOption(setting('--seed <number>', 'repeat the jitter of the run that told it', parseSeed));
  run(command, async (context) => chaos(context));
}

async function chaos({ settings, terminal, signal }: RunContext): Promise<number> {
  const seed = (settings['seed'] as number | undefined) ?? systemRandom.bytes(4).readUInt32BE();
  const listen = required(settings, 'listen');
  const target = required(settings, 'to');
  const faults = faultsIn(settings);
  const tally = new ChaosTally();
  const proxy = await startFaultProxy({
    listen,
    target,
    faults,
    clock: systemClock,
    random: seededRandom(seed),
    onEvent: (event) => tell(terminal, event, tally.add(event)),
  });
  announce(terminal, { listen: { host: listen.host, port: proxy.port }, target, faults, seed });
  await untilStopped(signal, () => undefined);
  await proxy.close();
  summarize(terminal, proxy, tally);
  return EXIT.done;
}

function faultsIn(settings: Settings): Faults {
  const number = (name: string) => settings[name] as number | undefined;
  return chaosFaults({
    latencyMs: number('latency'),
    jitterMs: number('jitter'),
    bytesPerSecond: number('rate'),
    dropAfterBytes: number('dropAfter'),
    resetEveryMs: number('resetEvery'),
    stallAfterBytes: number('stallAfter'),
    corruptAtByte: number('corruptAt'),
    splitBytes: number('split'),
    blackhole: settings['blackhole'] === true ? true : undefined,
  });
}

interface Running {
  listen: HostPort;
  target: HostPort;
  faults: Faults;
  seed: number;
}

function announce(terminal: Terminal, { listen, target, faults, seed }: Running): void {
  terminal.event('listening', { ...listen, to: formatAddress(target), seed, faults });
  if (terminal.options.json) return;
  terminal.data(`sealift: chaos on ${listenText(listen)} before ${formatAddress(target)}, seed ${seed}`);
  terminal.note(`sealift: ${faultsText(faults)}`);
}

function tell(terminal: Terminal, event: FaultEvent, isFault: boolean): void {
  terminal.event(isFault ? 'fault' : 'connection', { ...event });
  if (isFault) terminal.note(eventText(event));
  else terminal.detail(eventText(event));
}

function summarize(terminal: Terminal, proxy: FaultProxy, { faults }: ChaosTally): void {
  const { connections, bytesUp, bytesDown } = proxy;
  terminal.event('summary', { connections, bytesUp, bytesDown, faults, exitCode: EXIT.done });
  const counts = Object.entries(faults).map(([kind, count]) => `${kind} ${count}`);
  terminal.note(
    `sealift: connections: ${connections}, up: ${formatSize(bytesUp)}, down: ${formatSize(bytesDown)}, ` +
      `faults: ${counts.length === 0 ? 'none' : counts.join(', ')}`,
  );
}

function required(settings: Settings, name: 'listen' | 'to'): HostPort {
  const address = settings[name] as HostPort | undefined;
  if (address !== undefined) return address;
  throw new SealiftError('usage', `--${name} is missing.`, {
    hint: 'Say where to accept connections and where to forward them: sealift chaos --listen :PORT --to HOST:PORT',
  });
}

function positive(parse: (text: string) => number): (text: string) => number {
  return (text) => {
    const value = parse(text);
    if (value > 0) return value;
    throw new SealiftError('usage', `${JSON.stringify(text)} has to be more than nothing.`);
  };
}

function parseTarget(text: string): HostPort {
  const address = parseAddress(text);
  if (address !== undefined && 'port' in address) return address;
  throw new SealiftError('usage', `${JSON.stringify(text)} is no server: it is written HOST:PORT.`);
}

function parseSeed(text: string): number {
  const seed = parseCount(text);
  if (seed < 2 ** 32) return seed;
  throw new SealiftError('usage', `${text} is no seed: 0 to ${2 ** 32 - 1}.`);
}
