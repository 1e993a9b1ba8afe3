import { expect, test } from 'vitest';
import { FakeClock } from './fake-clock.ts';

test('timers fire in order, each at its own moment, also one that another sets', () => {
  const clock = new FakeClock(1_000);
  const fired: [string, number, number][] = [];
  const note = (name: string) => fired.push([name, clock.monotonicMs(), clock.now()]);
  clock.schedule(30, () => note('c'));
  clock.schedule(10, () => {
    note('a');
    clock.schedule(10, () => note('b'));
    clock.schedule(100, () => note('late'));
  });
  clock.schedule(30, () => note('d'));
  expect(clock.nextDelayMs).toBe(10);
  clock.advance(50);
  expect(fired).toEqual([
    ['a', 10, 1_010],
    ['b', 20, 1_020],
    ['c', 30, 1_030],
    ['d', 30, 1_030],
  ]);
  expect(clock.monotonicMs()).toBe(50);
  expect(clock.pendingCount).toBe(1);
});

test('a timer that was taken back does not fire', () => {
  const clock = new FakeClock();
  const cancel = clock.schedule(1, () => expect.unreachable());
  cancel();
  cancel();
  clock.advance(10);
  expect(clock.nextDelayMs).toBeUndefined();
});

test('a jump of the wall clock lets no time pass', () => {
  const clock = new FakeClock(1_000);
  clock.schedule(1, () => expect.unreachable());
  clock.jump(-500);
  expect([clock.now(), clock.monotonicMs()]).toEqual([500, 0]);
});

test('whoever waits for timers is told when there are enough', async () => {
  const clock = new FakeClock();
  let isTold = false;
  const waiting = clock.whenScheduled(2).then(() => (isTold = true));
  clock.schedule(1, () => {});
  await Promise.resolve();
  expect(isTold).toBe(false);
  clock.schedule(1, () => {});
  await waiting;
  await clock.whenScheduled(2);
});
