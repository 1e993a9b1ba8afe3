import { existsSync, statfsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';
import { isLongRun } from '../test/support/cases.ts';

const ci = process.env['CI'] === 'true';
/** What the list of skipped tests is made from. */
const report: ['json', { outputFile: string }] = ['json', { outputFile: 'coverage/tests.json' }];
/** Where there is room, files of tests lie in memory: they are synced some ten thousand times, and no test loses power. */
const memory = '/dev/shm';
const MIN_FREE_BYTES = 4 * 2 ** 30;

function hasRoom(directory: string): boolean {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize >= MIN_FREE_BYTES;
}

export default defineConfig({
  // Examples import the package by its name; in tests that name means the sources, so that no test needs a build.
  resolve: { alias: { sealift: resolve('src/index.ts') } },
  test: {
    include: ['test/**/*.test.ts'],
    env: existsSync(memory) && hasRoom(memory) ? { TMPDIR: memory } : {},
    // More than there are cores: many tests wait for processes of the program.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    testTimeout: isLongRun ? 6 * 3_600_000 : 30_000,
    hookTimeout: 30_000,
    reporters: ['default', resolve('scripts/case-counts.ts'), ...(ci ? [report] : [])],
    coverage: {
      enabled: ci,
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'json-summary'],
      reportsDirectory: 'coverage',
      thresholds: {
        'src/protocol/**': { lines: 95 },
        'src/storage/**': { lines: 95 },
        'src/transfer/**': { lines: 95 },
      },
    },
  },
});
