import { expect, test } from 'vitest';
import { repeat, type Bounds, type Work } from '../../../src/diagnostics/bench/repeat.ts';
import { SealiftError } from '../../../src/errors.ts';
import { failureOf, passUntilSettled } from '../../client/setting.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function setting() {
  const clock = new FakeClock();
  const controller = new AbortController();
  const bounds: Bounds = { durationMs: 1_000, maxBytes: 1_000, clock, signal: controller.signal };
  /** Something that takes 10 ms. */
  const once = () => new Promise<void>((resolve) => clock.schedule(10, resolve));
  const run = (work: Partial<Work>, limits: Partial<Bounds> = {}) =>
    passUntilSettled(clock, repeat({ bytes: 1, concurrency: 1, once, ...work }, { ...bounds, ...limits }));
  return { clock, controller, run };
}

test.each<[string, Partial<Work>, Partial<Bounds>, { count: number; bytes: number; seconds: number }]>([
  ['by time', {}, {}, { count: 100, bytes: 100, seconds: 1 }],
  ['by bytes', { bytes: 10 }, { maxBytes: 59 }, { count: 5, bytes: 50, seconds: 0.05 }],
  [
    'by bytes, with more at once than are left',
    { bytes: 10, concurrency: 8 },
    { maxBytes: 59 },
    { count: 5, bytes: 50, seconds: 0.01 },
  ],
  ['by time, with several at once', { concurrency: 8 }, {}, { count: 800, bytes: 800, seconds: 1 }],
  ['by time alone, without bytes', { bytes: 0 }, { maxBytes: 0 }, { count: 100, bytes: 0, seconds: 1 }],
  [
    'after one, without any time',
    { concurrency: 8 },
    { durationMs: 0 },
    { count: 1, bytes: 1, seconds: 0.01 },
  ],
])('ends %s', async (_, work, bounds, expected) => {
  const { run } = setting();
  const figures = await run(work, bounds);
  expect(figures).toMatchObject({ count: expected.count, bytes: expected.bytes });
  expect(figures.seconds).toBeCloseTo(expected.seconds);
  expect(figures.latency).toMatchObject({ min: 10, p50: 10, max: 10 });
});

test('the first failure ends all of it', async () => {
  const { run } = setting();
  let begun = 0;
  const once = async (index: number) => {
    begun += 1;
    if (index === 3) throw new SealiftError('busy', 'Not now.');
  };
  expect((await failureOf(run({ concurrency: 2, once }, { maxBytes: 1_000_000 }))).code).toBe('busy');
  expect(begun).toBeLessThan(7);
});

test('is told to stop', async () => {
  const { clock, controller, run } = setting();
  clock.schedule(55, () => controller.abort());
  expect((await failureOf(run({}))).code).toBe('aborted');
  expect(clock.monotonicMs()).toBeLessThan(100);
});
