import { resolve } from 'node:path';
import { defineConfig } from 'vitest/config';

const ci = process.env['CI'] === 'true';

export default defineConfig({
  // Examples import the package by its name; in tests that name means the sources, so that no test needs a build.
  resolve: { alias: { sealift: resolve('src/index.ts') } },
  test: {
    include: ['test/**/*.test.ts'],
    // One for each core: left to itself the runner keeps one core for itself, which halves what two can do.
    maxWorkers: '100%',
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // The machine-readable report is what the list of skipped tests is made from.
    reporters: ci ? ['default', ['json', { outputFile: 'coverage/tests.json' }]] : ['default'],
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
