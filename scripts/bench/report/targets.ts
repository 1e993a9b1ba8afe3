// What the figures are meant to show.
import type { Result } from './results.ts';
import { digits, table } from './table.ts';

/** One figure that is to reach a limit, or to stay below one. */
export interface Target {
  name: string;
  /** From the results of one place; undefined: those that it needs are not there. */
  figure: (results: Results) => number | undefined;
  limit: { atLeast: number } | { atMost: number };
  /** Where it holds; undefined: everywhere. */
  on?: 'tmpfs' | 'disk';
}

/** The results of one place. */
export class Results {
  readonly #results: readonly Result[];

  constructor(results: readonly Result[]) {
    this.#results = results;
  }

  /** Of a work, in the direction `what` begins with. */
  find(work: string, what: string, program: string): Result | undefined {
    return this.#results.find(
      (each) => each.work === work && each.what.startsWith(what) && each.program === program,
    );
  }

  /** How many times as long `other` took as `own`. */
  ratio(own: Result | undefined, other: Result | undefined): number | undefined {
    return own && other && other.seconds / own.seconds;
  }
}

const DIRECTIONS = ['put', 'get'] as const;

const TARGETS: readonly Target[] = [
  ...DIRECTIONS.flatMap((direction) => [
    {
      name: `large ${direction} against curl+nginx get`,
      figure: (results: Results) =>
        results.ratio(
          results.find('large', direction, 'sealift'),
          results.find('large', 'get', 'curl+nginx'),
        ),
      limit: { atLeast: 1.1 },
    },
    against('large', direction, 'scp', 2.5),
    against('large', direction, 'rsync -W', 2.5),
    { ...against('small', direction, 'rsync -a', 1.8), on: 'tmpfs' as const },
    { ...against('small', direction, 'rsync -a', 1), on: 'disk' as const },
    {
      name: `resume ${direction}: part of the full time`,
      figure: (results: Results) =>
        results.ratio(
          results.find('resume', direction, 'sealift, not interrupted'),
          results.find('resume', direction, 'sealift'),
        ),
      limit: { atMost: 0.4 },
    },
    {
      name: `resume ${direction}: MB sent twice`,
      figure: (results: Results) => results.find('resume', direction, 'sealift')?.figures['MB sent twice'],
      limit: { atMost: (2 * 2 ** 20) / 1e6 },
    },
    {
      name: `streams ${direction}: 8 against 1`,
      figure: (results: Results) =>
        results.ratio(
          results.find('streams', direction, 'sealift --streams 8'),
          results.find('streams', direction, 'sealift --streams 1'),
        ),
      limit: { atLeast: 7 },
    },
    {
      name: `unchanged ${direction}: seconds over 1.2 × rsync -a`,
      figure: (results: Results) => {
        const own = results.find('unchanged', direction, 'sealift');
        const other = results.find('unchanged', direction, 'rsync -a');
        return own && other && own.seconds - 1.2 * other.seconds;
      },
      limit: { atMost: 0.2 },
    },
  ]),
  against('cold', 'put', 'scp', 2),
  {
    name: 'many-clients: MB of the server',
    figure: (results) => results.find('many-clients', '', 'sealift')?.serverPeak,
    limit: { atMost: 250 },
  },
  {
    name: 'connections: MB of the server',
    figure: (results) => results.find('connections', '', 'sealift')?.serverPeak,
    limit: { atMost: 400 },
  },
  {
    name: 'many-clients: lag p99 ms',
    figure: (results) => results.find('many-clients', '', 'sealift')?.figures['lag p99 ms'],
    limit: { atMost: 50 },
    on: 'disk',
  },
];

/** Which targets are reached, of those of which something was measured. */
export function targetsTable(results: readonly Result[]): string {
  const rows = [...Map.groupBy(results, ({ place }) => place)].flatMap(([place, ofPlace]) =>
    TARGETS.filter(({ on }) => on === undefined || (on === 'tmpfs') === (place === 'tmpfs')).flatMap(
      ({ name, figure, limit }) => {
        const value = figure(new Results(ofPlace));
        if (value === undefined) return [];
        const [asked, isReached] =
          'atLeast' in limit
            ? [`at least ${digits(limit.atLeast)}`, value >= limit.atLeast]
            : [`at most ${digits(limit.atMost)}`, value <= limit.atMost];
        return [[place, name, digits(value), asked, isReached ? 'yes' : 'no']];
      },
    ),
  );
  return table([['on', 'target', 'figure', 'asked', 'reached'], ...rows]);
}

function against(work: string, direction: 'put' | 'get', program: string, atLeast: number): Target {
  return {
    name: `${work} ${direction} against ${program}`,
    figure: (results) =>
      results.ratio(results.find(work, direction, 'sealift'), results.find(work, direction, program)),
    limit: { atLeast },
  };
}
