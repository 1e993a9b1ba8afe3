import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { effort, held } from '../support/cases.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { contentsAt } from '../support/planted-tree.ts';
import { trialRandom } from '../support/seeded.ts';
import { twoSides, type Direction, type Tree } from './two-sides.ts';

const MIB = 2 ** 20;
const KILLS = effort(2, 60);
const home = new CliHome();
let server: ServeProcess;
let source: Tree;
let old: Tree;

beforeAll(async () => {
  server = await home.serve();
  const large = randomBytes(5 * MIB);
  const small = Array.from({ length: 12 }, (_, index) => [`${index % 3}/f${index}`, randomBytes(20_000)]);
  source = { ...(Object.fromEntries(small) as Tree), large };
  old = { large: large.subarray(MIB), '0/f0': { content: 'old', mtimeMs: 5 }, '2/gone/x': 'x' };
});
afterAll(() => home.close());

/** Makes what is to be sent, and what stands where it goes; with the command that sends it. */
async function prepared(command: 'put' | 'get' | 'sync', direction: Direction) {
  const sides = await twoSides(home, server, direction, source, old);
  const [one, options] = command === 'sync' ? ['', ['--delete']] : ['/large', []];
  // So slowly that it takes longer than the beginning and the end.
  const flags = ['--json', '--bwlimit', '16M', ...options];
  return { sides, args: [command, ...flags, `${sides.source}${one}`, `${sides.target}${one}`] };
}

/** How long a command works after it has said the first, in milliseconds. */
async function workMs(args: readonly string[]): Promise<number> {
  const run = home.start(args);
  await run.line(() => true);
  const beganMs = systemClock.monotonicMs();
  expect(await run.ended).toMatchObject({ code: 0 });
  return systemClock.monotonicMs() - beganMs;
}

function ownNames(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.includes('.sealift-'));
}

describe('a client that is killed at any moment', () => {
  test.concurrent.for([
    ['put', 'to a server'],
    ['get', 'from a server'],
    ['sync', 'to a server'],
    ['sync', 'from a server'],
  ] as const)(
    '%s %s leaves what stood or what was sent, and the next run does the rest',
    { timeout: effort(120_000, 3_600_000) },
    async ([command, direction], context) => {
      const random = trialRandom(context);
      const fullMs = await workMs((await prepared(command, direction)).args);
      for (let kill = 0; kill < KILLS; kill += 1) {
        const { sides, args } = await prepared(command, direction);
        const [before, whole] = [await contentsAt(sides.to), await contentsAt(sides.from)];
        const run = home.start(args);
        await run.line(() => true);
        await sleep(random.fraction() * fullMs);
        await run.kill('SIGKILL');
        for (const [path, content] of Object.entries(await contentsAt(sides.to)))
          if (!path.includes('.sealift-')) expect([before[path], whole[path]], path).toContain(content);

        expect(await home.run(args)).toMatchObject({ code: 0, stderr: '' });
        const expected = command === 'sync' ? whole : { ...before, large: whole['large'] };
        expect(await contentsAt(sides.to)).toEqual(expected);
        expect(ownNames(sides.to)).toEqual([]);
        held(context, 'kills');
      }
    },
  );

  test('leaves nothing on the server when the next run has ended, and hardly a key', () => {
    // A sync that was killed between a commit and the end of its key has nothing more to send: the key goes by its age.
    expect(readdirSync(home.at('state/sealift/resume')).length).toBeLessThanOrEqual(KILLS);
    expect(readdirSync(home.at('root/.sealift/uploads'))).toEqual([]);
  });
});
