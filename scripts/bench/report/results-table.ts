import type { Result } from './results.ts';
import { digits, table } from './table.ts';

const HEAD = [
  'on',
  'work',
  'program',
  'seconds',
  'rate',
  'client CPU s',
  'server CPU s',
  'server MB',
  'Sealift is faster',
  'also',
];

/** All results, those of one work that are compared one below the other. */
export function resultsTable(results: readonly Result[]): string {
  const inOrder = [...Map.groupBy(results, ({ place, what }) => `${place} ${what}`).values()].flat();
  return table([HEAD, ...inOrder.map(row)]);
}

function row({
  place,
  what,
  program,
  seconds,
  rate,
  clientCpu,
  serverCpu,
  serverPeak,
  ratio,
  figures,
}: Result) {
  return [
    place,
    what,
    program,
    digits(seconds),
    rate ? `${digits(rate.count)} ${rate.unit}` : '',
    digits(clientCpu),
    digits(serverCpu),
    serverPeak === undefined ? '' : serverPeak.toFixed(0),
    ratio === undefined ? '' : `${digits(ratio)}x`,
    Object.entries(figures)
      .map(([name, value]) => `${name}: ${digits(value)}`)
      .join(', '),
  ];
}
