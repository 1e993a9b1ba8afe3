import { describe, expect, test } from 'vitest';

import { SendWindow } from '../../src/client/send-window.ts';
import { Throttle } from '../../src/transport/throttle.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { failureOf, passUntilSettled } from './setting.ts';

describe('Throttle', () => {
  test('pays for bytes with time, the first at once', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 1_000, clock });
    const passedMs: number[] = [];
    for (const bytes of [500, 2_000, 1, 1]) {
      await passUntilSettled(clock, throttle.take(bytes));
      passedMs.push(clock.monotonicMs());
    }
    expect(passedMs).toEqual([0, 500, 2_500, 2_501]);
  });

  test('does not save up what was not used', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 1_000, clock });
    await throttle.take(1_000);
    clock.advance(60_000);
    await throttle.take(1_000);
    await passUntilSettled(clock, throttle.take(1));
    expect(clock.monotonicMs()).toBe(61_000);
  });

  test('those who come at once share the rate', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 1_000, clock });
    await passUntilSettled(clock, Promise.all([1, 2, 3, 4].map(() => throttle.take(1_000))));
    expect(clock.monotonicMs()).toBe(3_000);
  });

  test('an abort ends the wait', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const throttle = new Throttle({ bytesPerSecond: 1, clock, signal: controller.signal });
    await throttle.take(1_000);
    const waiting = throttle.take(1);
    controller.abort();
    expect((await failureOf(waiting)).code).toBe('aborted');
    expect(clock.pendingCount).toBe(0);
  });
});

test('whoever gives up waiting pays nothing, and those who come later do not wait for it', async () => {
  const clock = new FakeClock();
  const throttle = new Throttle({ bytesPerSecond: 1_000, clock });
  const controller = new AbortController();
  await throttle.take(1_000);
  const waiting = throttle.take(60_000, controller.signal);
  controller.abort();
  expect((await failureOf(waiting)).code).toBe('aborted');
  await passUntilSettled(clock, throttle.take(1));
  expect(clock.monotonicMs()).toBe(1_000);
});

describe('SendWindow', () => {
  /** How many may enter without anybody leaving. */
  async function room(window: SendWindow): Promise<number> {
    let entered = 0;
    for (let i = 0; i < 100; i += 1) void window.enter().then(() => (entered += 1));
    await new Promise((resolve) => setImmediate(resolve));
    return entered;
  }

  /** Answers `count` blocks, one every `everyMs`. */
  async function answer(window: SendWindow, clock: FakeClock, count: number, everyMs: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      await window.enter();
      clock.advance(everyMs);
      window.leave();
    }
  }

  test.each([
    { rttMs: 0, everyMs: 1, expected: 2 },
    { rttMs: 4.9, everyMs: 1, expected: 2 },
    { rttMs: 100, everyMs: 1_000, expected: 2 },
    { rttMs: 100, everyMs: 10, expected: 21 },
    { rttMs: 500, everyMs: 10, expected: 60 },
  ])(
    'with a round trip of $rttMs ms and a block every $everyMs ms there are $expected under way',
    async (given) => {
      const clock = new FakeClock();
      const window = new SendWindow({ clock, rttMs: given.rttMs, maxBlocks: 60 });
      await answer(window, clock, 100, given.everyMs);
      expect(await room(window)).toBe(given.expected);
    },
  );

  test('begins with two', async () => {
    expect(await room(new SendWindow({ clock: new FakeClock(), rttMs: 300, maxBlocks: 60 }))).toBe(2);
  });

  test('is not deceived by answers that come together', async () => {
    const clock = new FakeClock();
    const window = new SendWindow({ clock, rttMs: 100, maxBlocks: 60 });
    await answer(window, clock, 2, 0.1);
    expect(await room(window)).toBe(2);
  });

  test('takes a long way for a short one as soon as an answer was fast', async () => {
    const clock = new FakeClock();
    const window = new SendWindow({ clock, rttMs: 500, maxBlocks: 60 });
    await answer(window, clock, 100, 10);
    await window.enter();
    window.leave(1);
    expect(await room(window)).toBe(2);
  });
});
