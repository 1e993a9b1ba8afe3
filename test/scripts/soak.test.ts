import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { memoryLimit } from '../../scripts/soak/at-rest.ts';
import { parseSoakOptions } from '../../scripts/soak/options.ts';
import { atMost, findingsTable, told } from '../../scripts/soak/verdict.ts';
import { effort, held } from '../support/cases.ts';
import { freshSeed } from '../support/seeded.ts';

/** Runs it; rejects with what it said if it ends with anything but 0. */
function soak(...args: string[]) {
  return promisify(execFile)(process.execPath, ['scripts/soak.ts', ...args]);
}

/** The number at the end of each line that counts operations. */
function operationsIn(table: string): number {
  const counts = [...table.matchAll(/^(?:get|list|put|remove|sync)\b.*?([\d,]+)$/gm)];
  return counts.reduce((sum, [, count = '']) => sum + Number(count.replaceAll(',', '')), 0);
}

describe.runIf(process.platform === 'linux')('npm run soak', () => {
  const timeout = { timeout: effort(120_000, 2 * 3_600_000) };

  test('finds every content right, and everything given back', timeout, async (context) => {
    const seed = `${freshSeed()}`;
    const { stdout } = await soak('--seconds', `${effort(5, 3_600)}`, '--seed', seed);
    expect(stdout).toContain('Everything held.');
    const operations = operationsIn(stdout);
    expect(operations).toBeGreaterThan(10);
    held(context, 'soak operations', operations);
  });

  test('tells how it is used', async () => {
    expect((await soak('--help')).stdout).toContain('--seconds');
    await expect(soak('--seconds', 'x')).rejects.toMatchObject({ code: 1 });
  });
});

describe('the options of a soak', () => {
  test('are an hour, and any seed', () => {
    expect(parseSoakOptions([])?.seconds).toBe(3_600);
    expect(parseSoakOptions(['--seconds', '90', '--seed', '7'])).toEqual({ seconds: 90, seed: 7 });
  });
});

describe('the verdict of a soak', () => {
  test('says what did not hold', () => {
    const findings = [
      told('get', 1_234),
      atMost('handles', 5, 5),
      atMost('MB', memoryLimit(100) + 1, memoryLimit(100)),
    ];
    expect(findings.map(({ holds }) => holds)).toEqual([true, true, false]);
    expect(findingsTable(findings).split('\n')).toEqual([
      'get      1,234',
      'handles  5      at most 5    holds',
      'MB       201    at most 200  DOES NOT HOLD',
    ]);
  });
});
