// Compares Sealift with what people use today, interleaved in one run, and checks every result byte for byte.
import { existsSync, writeFileSync } from 'node:fs';

import { isolated } from './isolated.ts';
import { describeMachine, machine, type Machine } from './machine.ts';
import { parseBenchOptions, USAGE, type BenchOptions } from './options.ts';
import { chart } from './report/chart.ts';
import { resultsTable } from './report/results-table.ts';
import { results, type Result } from './report/results.ts';
import { targetsTable } from './report/targets.ts';
import { doWork } from './rounds.ts';
import { WORKS } from './works/index.ts';

const options = parseBenchOptions(process.argv.slice(2));
if (options === undefined) console.log(USAGE);
else await bench(options);

async function bench(options: BenchOptions): Promise<void> {
  const { works, program, directories, sizes, rounds, isQuick } = options;
  const unknown = works?.find((name) => !WORKS.some((work) => work.name === name));
  if (unknown !== undefined)
    throw new Error(`There is no work '${unknown}': ${WORKS.map(({ name }) => name).join(', ')}.`);
  if (!existsSync(program)) throw new Error(`${program} is not there: npm run build makes it.`);
  const measuredOn = await machine(directories);
  const leftOut = new Set<string>();
  const leaveOut = (what: string, why: string) => {
    if (!leftOut.has(what)) console.error(`${what} is left out: ${why}.`);
    leftOut.add(what);
  };
  const all: Result[] = [];
  for (const [index, parent] of directories.entries()) {
    const isDisk = index > 0;
    const place = measuredOn.fileSystems[parent] ?? parent;
    for (const work of WORKS) {
      if (works?.includes(work.name) === false || (isDisk && !work.isForDisk)) continue;
      const onRound = (round: number, of: number) =>
        console.error(`${place}: ${work.name}, round ${round} of ${of}`);
      const measured = await isolated(parent, (directory, onEnd) =>
        doWork(work, { directory, isDisk, program, sizes, rounds, isQuick, leaveOut, onEnd, onRound }),
      );
      all.push(...results(measured, { place, work: work.name, base: work.base ?? 'sealift' }));
      // After each work, since all of them take an hour: whoever ends the run keeps what was measured.
      writeFiles(all, options, measuredOn);
    }
  }
  console.log(`\n${heading(options, measuredOn)}\n\n${resultsTable(all)}\n\n${targetsTable(all)}`);
}

function heading({ rounds, isQuick }: BenchOptions, measuredOn: Machine): string {
  return `${describeMachine(measuredOn)}; medians of ${rounds} rounds${isQuick ? ', small sizes' : ''}`;
}

function writeFiles(all: readonly Result[], options: BenchOptions, measuredOn: Machine): void {
  const { rounds, sizes, json, svg } = options;
  if (json !== undefined)
    writeFileSync(
      json,
      `${JSON.stringify({ machine: measuredOn, rounds, sizes, results: all }, undefined, 2)}\n`,
    );
  if (svg !== undefined)
    writeFileSync(
      svg,
      chart(all, {
        title: 'How many times as fast as the others Sealift is',
        foot: heading(options, measuredOn),
      }),
    );
}
