import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, describe, expect, it } from 'vitest';

import { parseBenchOptions } from '../../scripts/bench/options.ts';
import { ordered } from '../../scripts/bench/rounds.ts';
import { mustBeSameFile, mustBeSameTree } from '../../scripts/bench/verify.ts';
import { SEALIFT } from '../support/cli.ts';

const directory = mkdtempSync(join(tmpdir(), 'sealift-bench-test-'));
const at = (name: string) => join(directory, name);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function bench(...args: string[]) {
  return promisify(execFile)(process.execPath, ['scripts/bench/main.ts', ...args]);
}

interface Row {
  work: string;
  program: string;
  samples: number[];
  serverPeak?: number;
  figures: Record<string, number>;
}

describe.runIf(process.platform === 'linux')('npm run bench', () => {
  it('measures the programs that are there, tells it in three ways, and leaves nothing behind', async () => {
    mkdirSync(at('place'));
    const small = ['--rounds', '1', '--size', '8M', '--files', '10', '--directory', at('place')];
    const files = ['--json', at('out.json'), '--svg', at('out.svg')];
    const given = ['--program', SEALIFT[1], '--works', 'delta,unchanged', ...small, ...files];

    const { stdout } = await bench(...given);

    const { machine, results } = JSON.parse(readFileSync(at('out.json'), 'utf8')) as {
      machine: { versions: Record<string, string> };
      results: Row[];
    };
    expect(machine.versions['Node.js']).toBe(process.versions.node);
    const own = results.filter(({ program }) => program === 'sealift');
    expect(own.map(({ work }) => work)).toEqual(['delta', 'delta', 'unchanged', 'unchanged']);
    for (const { samples, serverPeak } of own) {
      expect(samples).toHaveLength(1);
      expect(serverPeak).toBeGreaterThan(10);
    }
    // Of the 8 blocks the two in which something has changed.
    expect(own[0]?.figures['MB of the file sent']).toBeCloseTo((2 * 2 ** 20) / 1e6);
    expect(stdout).toContain('put 10 unchanged files again');
    expect(readFileSync(at('out.svg'), 'utf8')).toMatch(/^<svg [^]*<\/svg>\n$/);
    expect(readdirSync(at('place'))).toEqual([]);
  });

  it.each([
    [['--works', 'large,tiny'], "There is no work 'tiny'"],
    [['--rounds', '0'], 'at least 1'],
    [['--program', 'nowhere/main.js'], 'npm run build makes it'],
  ])('ends with what is wrong with %j', async (args, message) => {
    await expect(bench(...args)).rejects.toThrow(message);
  });
});

describe('a result that is not what was sent', () => {
  it('is refused, as a file and as a tree', async () => {
    for (const [name, content] of [
      ['a', 'sent'],
      ['b', 'sunk'],
    ] as const) {
      mkdirSync(at(name));
      writeFileSync(join(at(name), 'file'), content);
    }

    await mustBeSameTree(at('a'), at('a'));
    await expect(mustBeSameFile(at('a/file'), at('b/file'))).rejects.toThrow('is not what was sent');
    await expect(mustBeSameTree(at('a'), at('b'))).rejects.toThrow('is not what was sent');
  });
});

describe('the order of programs', () => {
  it('lets each begin once in as many rounds', () => {
    const first = [0, 1, 2, 3].map((round) => ordered(['a', 'b', 'c', 'd'], round)[0]);
    expect(first).toEqual(['a', 'b', 'c', 'd']);
  });

  it.each([
    { programs: ['a', 'b', 'c', 'd'], rounds: 4, times: 1 },
    { programs: ['a', 'b', 'c', 'd', 'e'], rounds: 10, times: 2 },
  ])('lets each of $programs.length come behind each other equally often', ({ programs, rounds, times }) => {
    const pairs = new Map<string, number>();
    for (let round = 0; round < rounds; round += 1) {
      const order = ordered(programs, round);
      expect(order.toSorted()).toEqual(programs);
      order.slice(1).forEach((program, before) => {
        const pair = `${order[before]} ${program}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
      });
    }
    expect(pairs.size).toBe(programs.length * (programs.length - 1));
    expect(new Set(pairs.values())).toEqual(new Set([times]));
  });
});

describe('the command line', () => {
  it('has sizes of its own for a quick look, which may be overridden', () => {
    expect(parseBenchOptions([])).toMatchObject({ rounds: 5, sizes: { large: 2 ** 30, files: 10_000 } });
    expect(parseBenchOptions(['--quick', '--size', '3M', '--disk', '/mnt'])).toMatchObject({
      rounds: 3,
      sizes: { large: 3 * 2 ** 20, connections: 200 },
      directories: [expect.any(String), '/mnt'],
    });
    expect(parseBenchOptions(['--help'])).toBeUndefined();
  });
});
