import { globSync, readFileSync } from 'node:fs';
import { ESLint, Linter } from 'eslint';
import { describe, expect, test } from 'vitest';

const SAMPLES = [
  'Date.now();',
  'const { now } = Date;',
  'new Date();',
  'Date();',
  'performance.now();',
  'setTimeout(work, 1);',
  'setInterval(work, 1);',
  'setImmediate(work);',
  'globalThis.setTimeout(work, 1);',
  'process.hrtime();',
  'process.uptime();',
  'AbortSignal.timeout(1);',
  "import { setTimeout } from 'node:timers/promises';",
  "import { setInterval } from 'timers';",
  "import { performance } from 'node:perf_hooks';",
  'Math.random();',
  'crypto.randomUUID();',
  'crypto.getRandomValues(bytes);',
  "import { randomBytes } from 'node:crypto';",
  "import { randomInt } from 'crypto';",
  "import * as all from 'node:crypto';",
];

/** A file of each kind that has restrictions of its own. */
const FILES = [
  'src/index.ts',
  'src/server/server.ts',
  'src/transport/dial.ts',
  'src/storage/store.ts',
  'src/storage/fs/file-system.ts',
  'src/cli/program.ts',
  'src/cli/main.ts',
];

const RULES = [
  'no-restricted-globals',
  'no-restricted-properties',
  'no-restricted-syntax',
  'no-restricted-imports',
];

/** What the linter of this project says of a piece of code, if it stood in that file, about what may not be used there. */
async function restrictionsIn(file: string): Promise<(code: string) => string[]> {
  const eslint = new ESLint({ overrideConfigFile: 'scripts/eslint.config.js' });
  const config = (await eslint.calculateConfigForFile(file)) as { rules: Linter.RulesRecord };
  const rules = Object.fromEntries(RULES.map((name) => [name, config.rules[name] ?? 'off']));
  const linter = new Linter();
  return (code) => linter.verify(code, { rules }).map(({ message }) => message);
}

describe('time, timers and chance are injected', () => {
  test.each(FILES)('in %s none is taken from anywhere else', async (file) => {
    const restrictions = await restrictionsIn(file);
    expect(SAMPLES.filter((code) => restrictions(code).length === 0)).toEqual([]);
    expect(restrictions('const day = new Date(clock.now()); hash(day);')).toEqual([]);
  });

  test('only the two files that they are injected from take them', async () => {
    for (const file of ['src/clock.ts', 'src/random.ts'])
      expect((await restrictionsIn(file))('Date.now(); Math.random();')).toEqual([]);
  });

  test('no comment lifts that', () => {
    const files = globSync('src/**/*.ts');
    expect(files.length).toBeGreaterThan(100);
    const comments = files.flatMap((file) => [
      ...readFileSync(file, 'utf8').matchAll(/eslint-disable\S*[ \t]*([\w@/, -]*?)(?:--|\*\/|\n)/g),
    ]);
    const lifted = comments.map(([, rules = '']) => rules.trim());
    expect(lifted.filter((rules) => rules === '' || rules.includes('no-restricted'))).toEqual([]);
  });
});
