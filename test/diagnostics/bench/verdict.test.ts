import { expect, test } from 'vitest';
import { BOTTLENECKS, verdictOn, type Rates } from '../../../src/diagnostics/bench/verdict.ts';

const MIB = 2 ** 20;
/** A fast link: nothing differs markedly. In MiB/s. */
const EVEN: Rates = { memory: 100, ciphers: [100, 101, 99], hash: 2_000, stored: 98 };

const CASES: readonly (readonly [string, Partial<Rates>, (typeof BOTTLENECKS)[number]])[] = [
  ['nothing else slows down what the link carries', {}, 'link'],
  ['nor does TLS, seen against TCP alone', { plain: 110 }, 'link'],
  ['more connections bring little', { streams: 120 }, 'link'],
  ['more connections bring much', { streams: 300 }, 'connection'],
  ['more connections bring much, but the disk less', { streams: 300, stored: 40 }, 'disk'],
  ['storing takes more than hashing explains', { stored: 60 }, 'disk'],
  ['hashing explains what storing takes', { hash: 150, stored: 60 }, 'hashing'],
  ['hashing explains a part of it only', { hash: 150, stored: 30 }, 'disk'],
  ['TCP alone is much faster', { plain: 200 }, 'tls'],
  ['one cipher suite is much slower, and TCP alone not measured', { ciphers: [100, 60] }, 'tls'],
  ['one cipher suite is much slower, but TCP alone no faster', { ciphers: [100, 60], plain: 100 }, 'link'],
  ['a difference of a quarter is none', { plain: 125, streams: 125, stored: 80, hash: 400 }, 'link'],
];

test.each(CASES)('%s: %j', (_, changed, bottleneck) => {
  expect(verdictOn(inBytes({ ...EVEN, ...changed })).bottleneck).toBe(bottleneck);
});

test('every bottleneck is in the table above', () => {
  expect(new Set(CASES.map(([, , bottleneck]) => bottleneck))).toEqual(new Set(BOTTLENECKS));
});

test('the reason has the figures', () => {
  expect(verdictOn(inBytes({ ...EVEN, stored: 60 }))).toEqual({
    bottleneck: 'disk',
    reason:
      'blocks are stored at 60.0M/s, and could be at 95.2M/s by what sending (100M/s) and hashing (2.0G/s) take',
    remedy: 'A faster disk, or file system, on the server.',
  });
});

function inBytes({ plain, streams, ...rates }: Rates): Rates {
  const bytes = (rate: number | undefined) => (rate === undefined ? undefined : rate * MIB);
  return {
    plain: bytes(plain),
    streams: bytes(streams),
    memory: rates.memory * MIB,
    ciphers: rates.ciphers.map((rate) => rate * MIB),
    hash: rates.hash * MIB,
    stored: rates.stored * MIB,
  };
}
