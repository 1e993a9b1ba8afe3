import { expect, test } from 'vitest';

import { balanced } from '../../src/client/balance.ts';
import { systemRandom } from '../../src/random.ts';

const SERVERS = ['a', 'b', 'c'];
const random = systemRandom;

test('the first server is tried first, and the others in their order', () => {
  expect(balanced(SERVERS, 'first', { turn: 2, random })).toEqual(SERVERS);
});

test.each([
  [0, 'a b c'],
  [1, 'b c a'],
  [2, 'c a b'],
  [3, 'a b c'],
])('in turn %i the order is %s', (turn, order) => {
  expect(balanced(SERVERS, 'round-robin', { turn, random }).join(' ')).toBe(order);
});

test.each([
  [[0, 0, 0], 'a b c'],
  [[0.99, 0, 0], 'c a b'],
  [[0.5, 0.99, 0], 'b c a'],
])('at random, %j gives %s', (fractions, order) => {
  const left = [...fractions];
  const fixed = { ...random, fraction: () => left.shift() ?? 0 };
  expect(balanced(SERVERS, 'random', { turn: 0, random: fixed }).join(' ')).toBe(order);
});
