import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const page = readFileSync(join(import.meta.dirname, 'HAZARDS.md'), 'utf8');
const numbers = [...page.matchAll(/^(\d+)\. /gm)].map((match) => Number(match[1]));
const elsewhere = [...page.matchAll(/^(\d+)\. |^ +- `([^`]+)`: "([^"]+)"$/gm)];
const files = readdirSync(import.meta.dirname).filter(
  (name) => name.endsWith('.test.ts') && name !== 'hazards.test.ts',
);
const suites = files.flatMap((name) =>
  [...readFileSync(join(import.meta.dirname, name), 'utf8').matchAll(/^(?:describe|test)\b(.*)$/gm)].map(
    ([line, rest = '']) => ({ line: `${name}: ${line}`, hazard: /^\('hazard (\d+): /.exec(rest)?.[1] }),
  ),
);

test('the hazards are numbered in order', () => {
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
});

test('every test here names the hazard that it is about, and that hazard is on the page', () => {
  expect(suites.filter(({ hazard }) => !numbers.includes(Number(hazard))).map(({ line }) => line)).toEqual(
    [],
  );
});

test('every hazard on the page has a test, here or where the page says', () => {
  const tested = new Set(suites.map(({ hazard }) => Number(hazard)));
  let current = 0;
  for (const [, number, path, title] of elsewhere) {
    if (number !== undefined) current = Number(number);
    if (path === undefined || title === undefined) continue;
    expect(readFileSync(resolve(path), 'utf8'), path).toContain(`'${title}'`);
    tested.add(current);
  }
  expect(numbers.filter((number) => !tested.has(number))).toEqual([]);
});
