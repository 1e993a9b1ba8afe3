import { describe, expect, it } from 'vitest';

import { chart } from '../../scripts/bench/report/chart.ts';
import { resultsTable } from '../../scripts/bench/report/results-table.ts';
import { results, type Result } from '../../scripts/bench/report/results.ts';
import { targetsTable } from '../../scripts/bench/report/targets.ts';
import type { Sample } from '../../scripts/bench/work.ts';

const amount = { count: 100, unit: 'MB' } as const;

function samples(
  seconds: readonly number[],
  serverPeak?: number,
  figures?: Record<string, number>,
): Sample[] {
  return seconds.map((each, index) => ({
    seconds: each,
    clientCpu: each / 2,
    serverCpu: each / 4,
    serverPeak: serverPeak === undefined ? undefined : serverPeak + index,
    ...(figures === undefined ? {} : { figures }),
  }));
}

function largePut(place: string, seconds: Record<string, readonly number[]>): Result[] {
  const measured = Object.entries(seconds).map(([program, each]) => ({
    what: 'put 1.0G',
    program,
    amount,
    samples: samples(each, program === 'sealift' ? 90 : undefined),
  }));
  return results(measured, { place, work: 'large', base: 'sealift' });
}

const seconds = { sealift: [2, 9, 1], scp: [6, 4, 5], 'rsync -W': [1, 1, 8] };

describe('results', () => {
  it('are medians, the largest peak, and ratios to the program that is compared with', () => {
    expect(largePut('tmpfs', seconds)).toMatchObject([
      { program: 'sealift', seconds: 2, clientCpu: 1, serverCpu: 0.5, serverPeak: 92, ratio: undefined },
      { program: 'scp', seconds: 5, serverPeak: undefined, ratio: 2.5, rate: { count: 20, unit: 'MB/s' } },
      { program: 'rsync -W', seconds: 1, ratio: 0.5 },
    ]);
  });

  it('keep the worst of each other figure', () => {
    const each = [1, 3, 2].flatMap((lag) => samples([1], 90, { 'lag p99 ms': lag }));
    const [result] = results([{ what: 'w', program: 'sealift', samples: each }], {
      place: 'ext4',
      work: 'many-clients',
      base: 'sealift',
    });
    expect(result?.figures).toEqual({ 'lag p99 ms': 3 });
  });

  it('stand in a table of Markdown, places apart, those that are compared together', () => {
    const lines = resultsTable([...largePut('tmpfs', seconds), ...largePut('ext4', seconds)]).split('\n');
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[1]).toMatch(/^(\| -+:? )+\|$/);
    expect(lines[3]).toMatch(/^\| tmpfs \| put 1.0G \| scp +\| +5.00 \| 20.0 MB\/s .* 2.50x \| +\|$/);
    expect(lines[6]).toContain('| ext4 ');
  });
});

describe('targets', () => {
  it.each([
    ['reached', { ...seconds, scp: [5, 5, 5] }, 'yes'],
    ['missed', { ...seconds, scp: [4.9, 4.9, 4.9] }, 'no'],
  ])('are %s by the ratio within one place', (_, times, reached) => {
    const line = targetsTable(largePut('tmpfs', times))
      .split('\n')
      .find((each) => each.includes('large put against scp'));
    expect(line).toMatch(new RegExp(`at least 2.50 \\| ${reached} +\\|$`));
  });

  it('are silent where nothing was measured, or it was meant for another place', () => {
    expect(targetsTable(largePut('tmpfs', { sealift: [1] })).split('\n')).toHaveLength(2);
    const many = [
      { what: '8 clients', program: 'sealift', samples: samples([1], 240, { 'lag p99 ms': 60 }) },
    ];
    const on = (place: string) =>
      targetsTable(results(many, { place, work: 'many-clients', base: 'sealift' }));
    expect(on('tmpfs')).not.toContain('lag');
    expect(on('ext4')).toMatch(/lag p99 ms +\| +60.0 \| at most 50.0 \| no/);
  });
});

describe('the chart', () => {
  it('has a bar for each other program in each place, cut where it would be too long', () => {
    const all = [
      ...largePut('tmpfs', { ...seconds, scp: [40, 40, 40] }),
      ...largePut('ext4', { ...seconds, 'sealift, old': [3, 3, 3] }),
    ];
    const svg = chart(all, { title: 'A & B', foot: 'a machine' });
    expect(svg.match(/<rect class="(faster|slower)"/g)).toHaveLength(4);
    expect(svg).toContain('20× →');
    expect(svg).toContain('0.50×');
    expect(svg).toContain('A &amp; B');
    expect(svg).not.toContain('sealift, old');
    expect(svg).toContain('prefers-color-scheme: dark');
  });
});
