import { expect, test } from 'vitest';
import { latencyOf } from '../../src/diagnostics/latency.ts';

test.each([
  [[7], { min: 7, avg: 7, max: 7, mdev: 0, p50: 7, p95: 7, p99: 7 }],
  [[3, 1], { min: 1, avg: 2, max: 3, mdev: 1, p50: 1, p95: 3, p99: 3 }],
  [
    Array.from({ length: 200 }, (_, index) => 200 - index),
    { min: 1, avg: 100.5, max: 200, mdev: Math.sqrt((200 ** 2 - 1) / 12), p50: 100, p95: 190, p99: 198 },
  ],
])('%j', (times, expected) => {
  expect(latencyOf(times)).toEqual(expected);
});

test('of no times there is none', () => {
  expect(latencyOf([])).toBeUndefined();
});

test('the times stay in their order', () => {
  const times = [3, 1, 2];
  latencyOf(times);
  expect(times).toEqual([3, 1, 2]);
});
