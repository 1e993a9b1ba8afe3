import { Command } from 'commander';

import {
  MOVING,
  rateOf,
  type Measurement,
  type MeasurementKind,
  type Unmeasured,
} from '../../diagnostics/bench/measurement.ts';
import type { ObservedFacts } from '../../diagnostics/requirements.ts';
import { SealiftError, toSealiftError } from '../../errors.ts';
import { checkPath } from '../../transfer/remote-path.ts';
import { formatAddress } from '../../transport/address.ts';
import type { Peer } from '../../transport/peer.ts';
import { formatDuration, formatSize, parseCount, parseDuration, parseSize } from '../../units.ts';
import { benchTable, measurementFields, verdictLines } from '../bench-display.ts';
import { EXIT, exitCodeOf } from '../exit-codes.ts';
import { parseServerText } from '../places.ts';
import { addRemoteCommand } from '../remote-command.ts';
import { peerFacts, requirementsOf, requireSetting, unmetRequirement } from '../requirements.ts';
import type { RunContext } from '../run-context.ts';
import type { Runner } from '../runner.ts';
import { setting } from '../settings.ts';

/** How far a run goes unless told otherwise, and with `--quick`. */
const FULL = { durationMs: 10_000, maxBytes: 4 * 2 ** 30 };
const QUICK = { durationMs: 2_000, maxBytes: 2 ** 30 };

/** `sealift bench REMOTE` and `sealift bench --local` */
export function addBench(program: Command, run: Runner): void {
  const command = new Command('bench')
    .description('measure what a transfer consists of, each by itself, and name the bottleneck')
    .argument('[remote]', 'host, host:port, name or sealift://host:port')
    .addOption(setting('--local', 'measure this machine alone: memory, hashing, TLS, disk'))
    .addOption(setting('--quick', `take ${formatDuration(QUICK.durationMs)} and less data`))
    .addOption(setting('--duration <duration>', 'all measurements together (default: 10s)', parseDuration))
    .addOption(setting('--max-bytes <size>', 'all measurements together (default: 4G)', parseSize))
    .addOption(
      setting('--streams <count>', 'the most connections at once', (text) => parseCount(text, 1)).default(4),
    )
    .addOption(
      setting(
        '--path <directory>',
        'on the server: where an upload is begun, of which nothing is left',
        parsePath,
      ).default('', 'the root'),
    )
    .addOption(setting('--dir <directory>', 'with --local: where a file is written').default('.'))
    .addOption(requireSetting());
  addRemoteCommand(program, run, command, async (context, [remote]) => {
    const isLocal = context.settings['local'] === true;
    if (isLocal === (remote !== undefined)) {
      throw new SealiftError('usage', 'Either a server is measured, or this machine with --local.', {
        hint: 'Write: sealift bench REMOTE, or sealift bench --local.',
      });
    }
    if (isLocal && requirementsOf(context.settings).length > 0)
      throw new SealiftError(
        'usage',
        'What --require asks for is observed of a server, and --local has none.',
        {
          hint: 'Leave one of the two out.',
        },
      );
    return isLocal ? benchHere(context) : benchThere(context, String(remote));
  });
}

async function benchHere(context: RunContext): Promise<number> {
  const { benchLocal } = await import('../../diagnostics/bench/local.ts');
  const { terminal, settings, signal } = context;
  const bounds = boundsOf(context);
  tellBeginning(context, 'this machine');
  const results = await told(
    context,
    benchLocal({ ...bounds, directory: settings['dir'] as string, signal }),
  );
  terminal.event('summary', { ...totals(results), exitCode: EXIT.done });
  if (!terminal.options.json) for (const line of benchTable(results)) terminal.data(line);
  return EXIT.done;
}

async function benchThere(context: RunContext, remote: string): Promise<number> {
  const { benchRemote } = await import('../../diagnostics/bench/remote.ts');
  const { judged } = await import('../../diagnostics/bench/judgement.ts');
  const { terminal, settings, signal } = context;
  const connect = await context.connectOptions(parseServerText(remote));
  const place = formatAddress(connect.address);
  let peer: Peer | undefined;
  const measurements = benchRemote({
    ...boundsOf(context),
    connect,
    directory: settings['path'] as string,
    maxStreams: settings['streams'] as number,
    onConnected: (found) => {
      peer = found;
      tellBeginning(context, `${place} (${found.tlsVersion}, ${found.cipher})`);
    },
    signal,
  });
  const results = await told(context, measurements).catch((error: unknown) => {
    throw peer === undefined ? error : endedMidway(toSealiftError(error), place);
  });
  const verdict = judged(results);
  const failure = unmetRequirement(settings, { ...peerFacts(peer), ...observed(results) }, place);
  const exitCode = failure === undefined ? EXIT.done : exitCodeOf(failure, true);
  const { tlsVersion, cipher } = peer ?? {};
  terminal.event('summary', { ...totals(results), verdict: verdict ?? null, tlsVersion, cipher, exitCode });
  if (!terminal.options.json) {
    for (const line of benchTable(results)) terminal.data(line);
    for (const line of verdict === undefined ? [] : ['', ...verdictLines(verdict)]) terminal.data(line);
  }
  if (failure !== undefined) terminal.failure('bench', failure);
  return exitCode;
}

/** A server that cannot be reached any more was reached before, and is not to be taken for one that never was. */
function endedMidway(error: SealiftError, place: string): SealiftError {
  if (exitCodeOf(error, false) !== EXIT.cannotConnect) return error;
  return new SealiftError('connection-lost', `${place} was there, and is no more: ${error.message}`, {
    cause: error,
  });
}

function boundsOf({ settings }: RunContext): { durationMs: number; maxBytes: number } {
  const standard = settings['quick'] === true ? QUICK : FULL;
  const { duration = standard.durationMs, maxBytes = standard.maxBytes } = settings;
  return { durationMs: duration as number, maxBytes: maxBytes as number };
}

function tellBeginning(context: RunContext, what: string): void {
  const { durationMs, maxBytes } = boundsOf(context);
  context.terminal.note(
    `Measuring ${what} for ${formatDuration(durationMs)}, with at most ${formatSize(maxBytes)} ...`,
  );
}

/** Tells programs of each result as it comes, and resolves with all of them. */
async function told(
  { terminal }: RunContext,
  results: AsyncGenerator<Measurement | Unmeasured>,
): Promise<(Measurement | Unmeasured)[]> {
  const all = [];
  for await (const result of results) {
    if ('bytes' in result) terminal.event('measurement', measurementFields(result));
    else terminal.event('unmeasured', { ...result });
    all.push(result);
  }
  return all;
}

/** Of what went over a network or to a disk, and of all the time. */
function totals(results: readonly (Measurement | Unmeasured)[]): { bytes: number; seconds: number } {
  const measurements = results.filter((each) => 'bytes' in each);
  return {
    bytes: sum(measurements.map(({ kind, bytes }) => (MOVING.has(kind) ? bytes : 0))),
    seconds: sum(measurements.map(({ seconds }) => seconds)),
  };
}

/** For conditions: half of the round trips were as quick, and files are sent at the rate of blocks that are stored. */
function observed(results: readonly (Measurement | Unmeasured)[]): ObservedFacts {
  const of = (wanted: MeasurementKind) =>
    results.filter((each) => 'bytes' in each).find(({ kind }) => kind === wanted);
  const stored = of('stored');
  return { rttMs: of('round-trip')?.latency.p50, bytesPerSecond: stored && rateOf(stored) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function parsePath(text: string): string {
  try {
    checkPath(text, { allowRoot: true });
  } catch (cause) {
    throw new SealiftError('usage', (cause as Error).message, { cause });
  }
  return text;
}
