// What is to be measured, and how large.
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { parseCount, parseSize } from '../../src/units.ts';

/** The sizes of the works, in bytes where nothing else is said. */
export interface Sizes {
  /** The one large file, also of resume and delta. */
  large: number;
  /** How many small files a tree has. */
  files: number;
  /** What each of the clients sends that work at once. */
  perClient: number;
  clients: number;
  connections: number;
  /** The file that goes through a link which gives each connection 20 MB/s. */
  streamed: number;
  /** The files that are compressed. */
  compressed: number;
}

export interface BenchOptions {
  /** Names of works; undefined: all. */
  works: readonly string[] | undefined;
  rounds: number;
  sizes: Sizes;
  isQuick: boolean;
  /** Where the works are done: memory if it is there, and a disk if one is named. */
  directories: readonly string[];
  json: string | undefined;
  svg: string | undefined;
  /** The file of Sealift that is run. */
  program: string;
}

const MIB = 2 ** 20;

const FULL: Sizes = {
  large: 1024 * MIB,
  files: 10_000,
  perClient: 1024 * MIB,
  clients: 8,
  connections: 1_000,
  streamed: 512 * MIB,
  compressed: 64 * MIB,
};

const QUICK: Sizes = {
  large: 128 * MIB,
  files: 500,
  perClient: 32 * MIB,
  clients: 8,
  connections: 200,
  streamed: 16 * MIB,
  compressed: 8 * MIB,
};

export const USAGE = `Usage: npm run bench -- [options]

  --works a,b       only these (default: all)
  --rounds N        how often each is done (default: 5)
  --quick           small sizes and 3 rounds: a look, in under two minutes
  --size SIZE       of the large file (default: 1G)
  --files N         in a tree of small files (default: 10000)
  --directory DIR   where to work (default: /dev/shm, else the temporary directory)
  --disk DIR        do it all once more here, on a disk
  --json FILE       write every figure
  --svg FILE        write a chart
  --program FILE    the Sealift to run (default: dist/cli/main.js)`;

/** Reads the command line; undefined: only help was asked for. Throws for what makes no sense. */
export function parseBenchOptions(args: readonly string[]): BenchOptions | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      works: text,
      rounds: text,
      quick: { type: 'boolean', default: false },
      size: text,
      files: text,
      directory: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
      disk: text,
      json: text,
      svg: text,
      program: { type: 'string', default: 'dist/cli/main.js' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const sizes = values.quick ? QUICK : FULL;
  return {
    works: values.works?.split(','),
    rounds: parseCount(values.rounds ?? (values.quick ? '3' : '5'), 1),
    sizes: {
      ...sizes,
      ...(values.size === undefined ? {} : { large: parseSize(values.size) }),
      ...(values.files === undefined ? {} : { files: parseCount(values.files, 1) }),
    },
    isQuick: values.quick,
    directories: [values.directory, ...(values.disk === undefined ? [] : [values.disk])],
    json: values.json,
    svg: values.svg,
    program: resolve(values.program),
  };
}
