import fc from 'fast-check';
import { expect, test } from 'vitest';

import { Budget } from '../../src/transport/budget.ts';
import { Throttle } from '../../src/transport/throttle.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { holds } from '../support/properties.ts';

test('over any time, no more is moved than the rate allows, but for one piece at its beginning', async (context) => {
  const takes = fc.array(
    fc.record({ bytes: fc.integer({ min: 1, max: 5_000 }), afterMs: fc.nat(3_000), isGivenUp: fc.boolean() }),
    { minLength: 1, maxLength: 15 },
  );
  await holds(
    context,
    fc.asyncProperty(fc.integer({ min: 1, max: 10_000 }), takes, async (bytesPerSecond, todo) => {
      const clock = new FakeClock();
      const throttle = new Throttle({ bytesPerSecond, clock });
      const moved: { atMs: number; bytes: number }[] = [];
      const waiting: Promise<void>[] = [];
      for (const { bytes, afterMs, isGivenUp } of todo) {
        await pass(clock, afterMs);
        const given = new AbortController();
        const taken = throttle.take(bytes, given.signal).then(
          () => void moved.push({ atMs: clock.monotonicMs(), bytes }),
          () => undefined,
        );
        await turns();
        // Who had to wait, and does not want to any more.
        if (isGivenUp) given.abort();
        waiting.push(taken);
      }
      await pass(clock, Infinity);
      await Promise.all(waiting);
      for (const [first, { atMs }] of moved.entries())
        for (let last = first; last < moved.length; last += 1) {
          const spanMs = (moved[last]?.atMs ?? 0) - atMs;
          // What is moved last is paid for by the time that comes.
          const paid = moved.slice(first, last).reduce((sum, { bytes }) => sum + bytes, 0);
          expect(paid).toBeLessThanOrEqual((bytesPerSecond * spanMs) / 1_000 + 0.01);
        }
    }),
    { numRuns: 300 },
  );
});

test('no more than a budget is taken at once, in the order of asking, and everybody gets theirs', async (context) => {
  const amounts = fc.array(fc.record({ amount: fc.nat(30), isGivenBackTwice: fc.boolean() }), {
    maxLength: 20,
  });
  await holds(
    context,
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      amounts,
      fc.infiniteStream(fc.nat()),
      async (total, asked, choices) => {
        const budget = new Budget(total);
        const order: number[] = [];
        const taken: { amount: number; give: () => void }[] = [];
        const everybody = asked.map(async ({ amount, isGivenBackTwice }, index) => {
          const release = await budget.take(amount);
          order.push(index);
          const give = () => {
            release();
            if (isGivenBackTwice) release();
          };
          taken.push({ amount: Math.min(amount, total), give });
        });
        for (await turns(); taken.length > 0; await turns()) {
          expect(taken.reduce((sum, { amount }) => sum + amount, 0)).toBeLessThanOrEqual(total);
          const [given] = taken.splice((choices.next().value as number) % taken.length, 1);
          given?.give();
        }
        await Promise.all(everybody);
        expect(order).toEqual(asked.map((_, index) => index));
      },
    ),
    { numRuns: 300 },
  );
});

/** Lets time pass, and whoever waited goes on in their own moment. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  const untilMs = clock.monotonicMs() + ms;
  for (let nextMs = clock.nextDelayMs; nextMs !== undefined; nextMs = clock.nextDelayMs) {
    if (clock.monotonicMs() + nextMs > untilMs) break;
    clock.advance(nextMs);
    await turns();
  }
  if (untilMs < Infinity) clock.advance(untilMs - clock.monotonicMs());
  await turns();
}

/** Lets what is settled be told. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}
