// Reads the coverage of the last run of `npm run test:coverage`, which counts the processes that the tests started, and
// prints the share of lines and of branches that ran, by folder of src and over all of it.
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

type Figure = 'lines' | 'branches';
type Counted = Record<Figure, { total: number; covered: number }>;
type Entry = readonly [file: string, counted: Counted];

const { total, ...files } = JSON.parse(readFileSync('coverage/coverage-summary.json', 'utf8')) as {
  total: Counted;
} & Record<string, Counted>;
const folders = Map.groupBy(Object.entries(files), ([file]) => folderOf(relative('src', file)));

print('', '   lines', 'branches');
for (const folder of [...folders.keys()].sort()) row(folder, folders.get(folder) ?? []);
row('all', [['', total]]);

/** The first folder of a path below src; files of src itself are `src`. */
function folderOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] as string) : 'src';
}

function row(name: string, files: readonly Entry[]): void {
  print(name, share(files, 'lines'), share(files, 'branches'));
}

function share(files: readonly Entry[], figure: Figure): string {
  const sum = (of: 'total' | 'covered') => files.reduce((sum, [, counted]) => sum + counted[figure][of], 0);
  return `${((100 * sum('covered')) / sum('total')).toFixed(1)} %`;
}

function print(name: string, ...columns: readonly string[]): void {
  console.log(name.padEnd(14) + columns.map((column) => column.padStart(10)).join(''));
}
