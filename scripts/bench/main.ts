// Compares Sealift with what people use today, interleaved in one run, and checks every result byte for byte.
//   npm run bench -- [--rounds 5] [--size 1G] [--dir DIR] [--json FILE]
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { formatSize, parseCount, parseSize } from '../../src/cli/units.ts';
import { STARTERS, type Contestant } from './contestants.ts';
import { finished, measured, median, peakMemory, type Cost } from './measure.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    size: { type: 'string', default: '1G' },
    dir: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
    json: { type: 'string' },
  },
});
const rounds = parseCount(values.rounds, 1);
const size = parseSize(values.size);
const directory = mkdtempSync(join(values.dir, 'sealift-bench-'));
const contestants: Contestant[] = [];
/** Costs by work and contestant. */
const results = new Map<string, Map<string, Cost[]>>([
  ['put', new Map()],
  ['get', new Map()],
]);

try {
  await start();
  const source = join(directory, 'source');
  makeFile(source);
  for (let round = 0; round < rounds; round += 1) {
    // Each begins in turn: whoever comes first after a pause would always have it easier.
    const order = contestants.map(
      (_, index) => contestants[(index + round) % contestants.length] as Contestant,
    );
    for (const contestant of order) await runBoth(contestant, source);
  }
  report();
} finally {
  for (const contestant of contestants) await contestant.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function start(): Promise<void> {
  for (const [name, starter] of Object.entries(STARTERS)) {
    const own = join(directory, name.replaceAll(/\W/g, '-'));
    mkdirSync(own);
    const started = await starter(own);
    if (typeof started === 'string') console.log(`${name} is left out: it needs ${started}.`);
    else contestants.push(started);
  }
}

async function runBoth(contestant: Contestant, source: string): Promise<void> {
  const { serverPid, environment } = contestant;
  const stored = contestant.stored('file');
  if (contestant.put) {
    note('put', contestant, await measured(contestant.put(source, 'file'), environment, serverPid));
    await mustBeEqual(source, stored);
  } else {
    linkSync(source, stored);
  }
  if (contestant.get) {
    const fetched = join(directory, 'fetched');
    note('get', contestant, await measured(contestant.get('file', fetched), environment, serverPid));
    await mustBeEqual(source, fetched);
    rmSync(fetched);
  }
  rmSync(stored);
}

function note(work: string, { name }: Contestant, cost: Cost): void {
  const byName = results.get(work);
  byName?.set(name, [...(byName.get(name) ?? []), cost]);
}

async function mustBeEqual(expected: string, actual: string): Promise<void> {
  if ((await finished('cmp', ['-s', expected, actual])).code !== 0)
    throw new Error(`${actual} is not what was sent.`);
}

function makeFile(path: string): void {
  const block = Buffer.alloc(2 ** 20);
  const file = openSync(path, 'w');
  for (let left = size; left > 0; left -= block.length)
    writeSync(file, randomFillSync(block), 0, Math.min(left, block.length));
  closeSync(file);
}

function report(): void {
  console.log(
    `\n${formatSize(size)} in ${directory.replace(/-\w+$/, '')}, ${rounds} rounds, ${machine()}; medians`,
  );
  const rows = [...results].flatMap(([work, byName]) =>
    [...byName].map(([name, costs]) => row(work, name, costs, byName.get('sealift') ?? [])),
  );
  console.table(rows);
  const server = contestants.find(({ name }) => name === 'sealift');
  if (server) console.log(`Peak memory of the Sealift server: ${peakMemory(server.serverPid)} MiB.`);
  if (values.json !== undefined)
    writeFileSync(
      values.json,
      `${JSON.stringify({ machine: machine(), size, rounds, rows }, undefined, 2)}\n`,
    );
}

function row(
  work: string,
  name: string,
  costs: readonly Cost[],
  own: readonly Cost[],
): Record<string, string | number> {
  const seconds = median(costs.map((cost) => cost.seconds));
  const rounded = (value: number) => Number(value.toFixed(2));
  return {
    work,
    program: name,
    seconds: rounded(seconds),
    'MB/s': Math.round(size / seconds / 1e6),
    'client CPU s': rounded(median(costs.map((cost) => cost.clientCpu))),
    'server CPU s': rounded(median(costs.map((cost) => cost.serverCpu))),
    'sealift is faster by':
      own.length > 0 ? `${(seconds / median(own.map((cost) => cost.seconds))).toFixed(2)}x` : '',
  };
}

function machine(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model ?? 'unknown processor'}, ${formatSize(totalmem())} memory, Node ${process.versions.node}`;
}
