import fc from 'fast-check';
import { expect, test } from 'vitest';

import { isSealiftError } from '../../src/errors.ts';
import {
  formatDuration,
  formatSize,
  parseCount,
  parseDuration,
  parsePort,
  parseSize,
} from '../../src/units.ts';
import { anyString, holds } from '../support/properties.ts';

const FACTORS = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;
const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const amount = fc.nat(8_000);
/** Digits and letters of units above all, so that much of it nearly is a size or a duration. */
const anyText = fc.oneof(
  anyString,
  fc
    .array(
      fc.constantFrom(
        '0',
        '9',
        '99999999999999999999',
        '.',
        '-',
        'e',
        'K',
        'M',
        'T',
        'i',
        'B',
        'ms',
        'h',
        ' ',
      ),
    )
    .map((pieces) => pieces.join('')),
);

test('a size in any unit is so many bytes, and one that was formatted is nearly the same', async (context) => {
  const unit = fc.constantFrom('K', 'M', 'G', 'T').map((letter) => letter);
  const ending = fc.constantFrom('', 'B', 'iB');
  await holds(
    context,
    fc.property(amount, unit, ending, fc.boolean(), (count, letter, rest, isLower) => {
      const text = `${count}${letter}${rest}`;
      expect(parseSize(isLower ? text.toLowerCase() : text)).toBe(count * FACTORS[letter]);
    }),
  );
  await holds(
    context,
    fc.property(
      fc.maxSafeNat().map((number) => Math.floor(number / 2)),
      (bytes) => {
        expect(parseSize(String(bytes))).toBe(bytes);
        expect(Math.abs(parseSize(formatSize(bytes)) - bytes)).toBeLessThanOrEqual(bytes * 0.05);
      },
    ),
    { numRuns: 500 },
  );
});

test('a duration in any unit is so many milliseconds; longer ones are never shown as shorter', async (context) => {
  const unit = fc.constantFrom(...(Object.keys(MILLISECONDS) as (keyof typeof MILLISECONDS)[]));
  await holds(
    context,
    fc.property(amount, unit, (count, name) => {
      expect(parseDuration(`${count}${name}`)).toBe(count * MILLISECONDS[name]);
    }),
  );
  const shownMs = (milliseconds: number) => {
    const parts = [...formatDuration(milliseconds).matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
    expect(parts.map(([part]) => part).join('')).toBe(formatDuration(milliseconds));
    return parts.reduce((sum, [, count, name]) => sum + Number(count) * MILLISECONDS[name as 's'], 0);
  };
  await holds(
    context,
    fc.property(fc.nat(400_000_000), fc.nat(400_000_000), (one, other) => {
      const [shorter, longer] = [Math.min(one, other), Math.max(one, other)];
      expect(shownMs(shorter)).toBeLessThanOrEqual(shownMs(longer));
      expect(Math.abs(shownMs(longer) - longer)).toBeLessThanOrEqual(Math.max(60_000, 1));
    }),
    { numRuns: 500 },
  );
});

test.for([
  ['parseSize', parseSize],
  ['parseDuration', parseDuration],
  ['parseCount', (text: string) => parseCount(text)],
  ['parsePort', (text: string) => parsePort(text, 0)],
] as const)(
  'any text is a number that can be counted with, or refused, by %s',
  async ([, parse], context) => {
    await holds(
      context,
      fc.property(anyText, (text) => {
        try {
          const number = parse(text);
          expect(Number.isSafeInteger(number) && number >= 0, text).toBe(true);
        } catch (error) {
          if (!isSealiftError(error, 'usage')) throw error;
        }
      }),
      { numRuns: 1_000 },
    );
  },
);
