import {
  MOVING,
  rateOf,
  type Measurement,
  type MeasurementKind,
  type Unmeasured,
} from '../diagnostics/bench/measurement.ts';
import type { Verdict } from '../diagnostics/bench/verdict.ts';
import { formatSize } from '../units.ts';
import { printable } from './escape.ts';
import { roundedLatency } from './ping-display.ts';

/** Columns of the label, of the figure and of the bar: with three times behind them, 80 columns hold a line. */
const LABEL_COLUMNS = 29;
const FIGURE_COLUMNS = 8;
const BAR_COLUMNS = 17;
const TIME_COLUMNS = 8;

const LABELS: Readonly<Record<MeasurementKind, (name: string) => string>> = {
  'round-trip': () => 'round trip',
  handshake: () => 'full handshakes',
  plain: () => 'TCP without TLS',
  cipher: (name) => name,
  streams: (name) => `${name} connections`,
  copy: () => 'copy in memory',
  hash: (name) => `hash with ${name}`,
  stored: () => 'stored by the server',
  disk: () => 'write and sync',
};

const BOTTLENECKS: Readonly<Record<Verdict['bottleneck'], string>> = {
  disk: 'the disk of the server',
  hashing: 'hashing',
  connection: 'the single connection',
  tls: 'TLS',
  link: 'the link',
};

/** The fields of a measurement for programs. */
export function measurementFields(measurement: Measurement): Record<string, unknown> {
  const { latency, ...rest } = measurement;
  return {
    ...rest,
    perSecond: measurement.count / measurement.seconds,
    bytesPerSecond: Math.round(rateOf(measurement)),
    latencyMs: roundedLatency(latency),
  };
}

/** A table of what was measured, with bars to compare what moves bytes. */
export function benchTable(results: readonly (Measurement | Unmeasured)[]): string[] {
  const moving = results.filter((each) => 'bytes' in each).filter(({ kind }) => MOVING.has(kind));
  const most = Math.max(...moving.map(rateOf));
  const times = ['p50', 'p95', 'p99 ms'].map((title) => title.padStart(TIME_COLUMNS)).join('');
  return [
    `${' '.repeat(LABEL_COLUMNS + FIGURE_COLUMNS + BAR_COLUMNS + 2)}${times}`,
    ...results.map((each) => {
      const label = printable(LABELS[each.kind](each.name)).padEnd(LABEL_COLUMNS);
      return 'bytes' in each
        ? `${label}${figures(each, most)}`
        : `${label}not measured: ${printable(each.reason)}`;
    }),
  ];
}

/** What a person is told of the verdict. */
export function verdictLines({ bottleneck, reason, remedy }: Verdict): string[] {
  return [`The bottleneck is ${BOTTLENECKS[bottleneck]}:`, `${reason}.`, remedy];
}

function figures(measurement: Measurement, most: number): string {
  const { bytes, count, seconds, latency } = measurement;
  const figure = bytes === 0 ? `${formatCount(count / seconds)}/s` : `${formatSize(rateOf(measurement))}/s`;
  const times = [latency.p50, latency.p95, latency.p99].map((ms) => formatTime(ms).padStart(TIME_COLUMNS));
  return `${figure.padStart(FIGURE_COLUMNS)}  ${bar(rateOf(measurement) / most).padEnd(BAR_COLUMNS)}${times.join('')}`;
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** What only this machine computes may be faster than everything that moves bytes: its bar goes on beyond the table. */
function bar(share: number): string {
  if (share > 1) return `${'█'.repeat(BAR_COLUMNS - 2)}▶`;
  const eighths = Math.round(share * (BAR_COLUMNS - 1) * 8);
  return `${'█'.repeat(Math.floor(eighths / 8))}${EIGHTHS[eighths % 8] ?? ''}`;
}

function formatCount(count: number): string {
  return count < 10 ? count.toFixed(1) : count.toFixed(0);
}

function formatTime(ms: number): string {
  return ms < 10 ? ms.toFixed(3) : ms.toFixed(1);
}
