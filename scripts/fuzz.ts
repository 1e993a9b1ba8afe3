// Sends broken messages, answers and handshakes to servers and clients, for as long as one likes:
//   npm run fuzz -- [--seconds N] [--seed S] [--only messages|answers|handshakes]
// What does harm is told with the smallest input that does it, and the seed by which it comes again.
import { parseArgs } from 'node:util';

import { systemRandom } from '../src/random.ts';
import { FUZZED } from '../test/support/fuzz/targets.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(systemRandom.bytes(4).readUInt32BE()) },
    only: { type: 'string' },
  },
});
const [seconds, seed] = [wholeNumber('seconds'), wholeNumber('seed')];
const { only } = values;
const chosen = Object.entries(FUZZED).filter(([what]) => only === undefined || what === only);
if (chosen.length === 0)
  throw new Error(`--only takes one of ${Object.keys(FUZZED).join(', ')}, not ${only}.`);

console.log(`The seed is ${seed}.`);
for (const [what, fuzzed] of chosen) {
  const untilMs = Date.now() + (seconds * 1_000) / chosen.length;
  const rounds = await fuzzed({
    seed,
    isOver: (done) => done > 0 && Date.now() >= untilMs,
    command: (again) => `npm run fuzz -- --only ${what} --seconds 0 --seed ${again}`,
  });
  console.log(`${what}: ${rounds} rounds did no harm.`);
}

function wholeNumber(name: 'seconds' | 'seed'): number {
  const number = Number(values[name]);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new Error(`--${name} takes a whole number, not ${values[name]}.`);
}
