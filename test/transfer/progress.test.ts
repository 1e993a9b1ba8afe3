import { describe, expect, test } from 'vitest';
import { etaSeconds, RateMeter } from '../../src/transfer/progress.ts';

/** A meter that counted `bytes` at the end of every `everyMs`, from 0 to `untilMs`. */
function steady(bytes: number, everyMs: number, untilMs: number): RateMeter {
  const meter = new RateMeter(0);
  for (let nowMs = everyMs; nowMs <= untilMs; nowMs += everyMs) meter.add(bytes, nowMs);
  return meter;
}

describe('the rate', () => {
  test('is 0 while there is nothing to tell', () => {
    const meter = new RateMeter(1_000);
    expect(meter.rate(1_000)).toBe(0);
    expect(meter.rate(999)).toBe(0);
    meter.add(5, 1_000);
    expect(meter.rate(1_000)).toBe(0);
    expect(meter.rate(2_000)).toBe(5);
  });

  test.each([
    ['in large steps', 500, 500],
    ['in steps smaller than the samples', 7, 7],
  ])('of a steady transfer is steady, %s', (_, bytes, everyMs) => {
    for (const untilMs of [1_000, 5_000, 60_000]) {
      const endMs = untilMs - (untilMs % everyMs);
      expect(steady(bytes, everyMs, untilMs).rate(endMs)).toBeCloseTo(1_000, 0);
    }
  });

  test('forgets what lies further back than the window', () => {
    const meter = steady(1_000, 100, 10_000);
    for (let nowMs = 10_100; nowMs <= 20_000; nowMs += 100) meter.add(1, nowMs);
    expect(meter.rate(20_000)).toBeCloseTo(10, 5);
  });

  test('still knows what lies within the window', () => {
    const meter = steady(0, 100, 10_000);
    meter.add(5_000, 10_100);
    for (let nowMs = 10_200; nowMs <= 15_000; nowMs += 100) meter.add(0, nowMs);
    expect(meter.rate(15_000)).toBeCloseTo(1_000, -1);
  });

  test('is taken from few samples, so that a fast transfer does not fill the memory', () => {
    const meter = new RateMeter(0);
    meter.add(0, 100);
    meter.add(1_000, 150);
    for (let nowMs = 160; nowMs <= 5_150; nowMs += 10) meter.add(0, nowMs);
    // Were there a sample at 150 ms, the window would begin there, after the bytes.
    expect(meter.rate(5_150)).toBeCloseTo(1_000_000 / 5_050, 5);
  });

  test('after a pause begins with the last sample before the window', () => {
    const meter = new RateMeter(0);
    meter.add(0, 100);
    meter.add(1_000, 6_000);
    expect(meter.rate(6_000)).toBeCloseTo(1_000_000 / 5_900, 5);
  });

  test('falls while nothing moves', () => {
    const meter = steady(100, 100, 5_000);
    expect(meter.rate(10_000)).toBe(500);
    expect(meter.rate(50_000)).toBe(100);
  });
});

test('bytes are counted, whatever the clock does', () => {
  const meter = new RateMeter(1_000);
  meter.add(1, 1_050);
  meter.add(2, 900);
  meter.add(4, 3_000);
  expect(meter.bytes).toBe(7);
});

test.each([
  [0, 100, 0],
  [-5, 100, 0],
  [0, 0, 0],
  [1_000, 100, 10],
  [1, 1_000, 0.001],
  [1, 0.5, 2],
  [1_000, 0, undefined],
])('%i bytes at %f a second take %s seconds', (remaining, rate, seconds) => {
  expect(etaSeconds(remaining, rate)).toBe(seconds);
});
