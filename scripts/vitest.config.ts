import { existsSync, statfsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { isLongRun } from '../test/support/cases.ts';
import { LongTestsFirst } from './long-tests-first.ts';

const ci = process.env['CI'] === 'true';
/** Whether processes and threads that the tests start are counted too, which takes half as long again: `npm run test:coverage`. */
const countsAll = process.env['SEALIFT_TEST_COVERAGE'] === 'true';
/** What the list of skipped tests is made from. */
const report: ['json', { outputFile: string }] = ['json', { outputFile: 'coverage/tests.json' }];
/** Where there is room, and nothing else is said, files of tests lie in memory: they are synced some ten thousand times, and no test loses power. */
const memory = '/dev/shm';
const MIN_FREE_BYTES = 4 * 2 ** 30;

/** These see how a module is loaded, put another in its place, or change what is remembered for a process: each has one of its own. */
const ALONE = [
  'test/storage/fs/sync-file-system.test.ts',
  'test/transfer/blake3-loading.test.ts',
  'test/transfer/without-blake3.test.ts',
  'test/trust/token-timing.test.ts',
];

/**
 * How workers collect garbage. Threads that do so side by side only wait for a core here; and blocks of a mebibyte are
 * no reason to look through all that was loaded for each sixty of them, which is what Node does otherwise. Together this
 * saves up to a third of the time of tests that move many blocks.
 */
const COLLECTION = [
  '--single-threaded-gc',
  '--initial-old-space-size=256',
  // Node 22 does not know it.
  ...(Number.parseInt(process.versions.node) >= 24 ? ['--external-memory-accounted-in-global-limit'] : []),
];

function hasRoom(directory: string): boolean {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize >= MIN_FREE_BYTES;
}

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE } },
      {
        extends: true,
        test: {
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: ALONE,
          // A few processes load the sources once each, and not again for each of some hundred files.
          isolate: false,
        },
      },
    ],
    sequence: { sequencer: LongTestsFirst },
    env:
      process.env['TMPDIR'] === undefined && existsSync(memory) && hasRoom(memory) ? { TMPDIR: memory } : {},
    // More than there are cores: many tests wait for processes of the program.
    maxWorkers: availableParallelism() * 2,
    execArgv: COLLECTION,
    testTimeout: isLongRun ? 6 * 3_600_000 : 60_000,
    hookTimeout: 30_000,
    // Its default, one second, is lost to others on a busy machine.
    expect: { poll: { timeout: 20_000 } },
    reporters: ['default', resolve('scripts/case-counts.ts'), ...(ci ? [report] : [])],
    // What is measured runs as the program does, by Node's own type stripping: what was counted in a test and in a
    // process that it started can only be added up if both ran the same text.
    experimental: { viteModuleRunner: !countsAll },
    coverage: {
      enabled: ci || countsAll,
      provider: 'v8',
      include: ['src/**/*.ts'],
      autoAttachSubprocess: countsAll,
      reporter: ['text-summary', 'json-summary'],
      reportsDirectory: 'coverage',
      thresholds: {
        ...(countsAll ? { lines: 90, branches: 85 } : {}),
        'src/protocol/**': { lines: 95 },
        'src/storage/**': { lines: 95 },
        'src/transfer/**': { lines: 95 },
      },
    },
  },
});
