import { expect, test } from 'vitest';

import { Deadlines } from '../../src/transport/deadlines.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** Deadlines on a clock of their own, and the names of those that were missed. */
function deadlines() {
  const clock = new FakeClock();
  const missed: string[] = [];
  const all = new Deadlines(clock);
  return {
    clock,
    missed,
    all,
    set: (name: string, ms: number) => all.set(name, ms, () => missed.push(name)),
  };
}

test('each is missed at its own moment, once', () => {
  const { clock, missed, set } = deadlines();
  set('late', 300);
  set('early', 100);
  clock.advance(99);
  expect(missed).toEqual([]);
  clock.advance(1);
  expect(missed).toEqual(['early']);
  clock.advance(1_000);
  expect(missed).toEqual(['early', 'late']);
});

test('setting one again moves it, in either direction, and costs no timer of its own', () => {
  const { clock, missed, set } = deadlines();
  set('moving', 100);
  clock.advance(90);
  set('moving', 100);
  expect(clock.pendingCount).toBe(1);
  clock.advance(99);
  expect(missed).toEqual([]);
  set('moving', 1_000);
  set('moving', 5);
  clock.advance(5);
  expect(missed).toEqual(['moving']);
});

test('one that is cleared is not missed, and is not there', () => {
  const { clock, missed, set, all } = deadlines();
  set('cleared', 100);
  set('kept', 200);
  expect(all.has('cleared')).toBe(true);
  all.clear('cleared');
  all.clear('never set');
  expect(all.has('cleared')).toBe(false);
  clock.advance(1_000);
  expect(missed).toEqual(['kept']);
  expect(all.has('kept')).toBe(false);
});

test('clearing all takes the timer back, and setting one afterwards works', () => {
  const { clock, missed, set, all } = deadlines();
  set('a', 100);
  set('b', 200);
  all.clearAll();
  expect(clock.pendingCount).toBe(0);
  set('c', 500);
  clock.advance(499);
  expect(missed).toEqual([]);
  clock.advance(1);
  expect(missed).toEqual(['c']);
});

test('one may be set again from its own miss', () => {
  const clock = new FakeClock();
  const all = new Deadlines(clock);
  let count = 0;
  const again = () => {
    count += 1;
    all.set('again', 100, again);
  };
  all.set('again', 100, again);
  clock.advance(350);
  expect(count).toBe(3);
});
