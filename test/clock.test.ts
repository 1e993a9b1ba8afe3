import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../src/clock.ts';

const DAY_MS = 86_400_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('a delay that is longer than a timer of Node takes is waited for to its end', () => {
  const fired = vi.fn();
  systemClock.schedule(60 * DAY_MS, fired);
  vi.advanceTimersByTime(60 * DAY_MS - 1);
  expect(fired).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(fired).toHaveBeenCalledOnce();
  expect(vi.getTimerCount()).toBe(0);
});

test('and can be taken back at any time of it', () => {
  const fired = vi.fn();
  const takeBack = systemClock.schedule(60 * DAY_MS, fired);
  vi.advanceTimersByTime(30 * DAY_MS);
  takeBack();
  expect(vi.getTimerCount()).toBe(0);
});

test('a delay that is over already is none, and nothing that Node would warn of', async () => {
  vi.useRealTimers();
  const warned = vi.spyOn(process, 'emitWarning');
  await new Promise<void>((resolve) => systemClock.schedule(-29_082.3, resolve));
  expect(warned).not.toHaveBeenCalled();
});
