import { expect, test } from 'vitest';
import { ping, type PingOptions, type Probe } from '../../src/diagnostics/ping.ts';
import { SealiftError } from '../../src/errors.ts';
import { failureOf, passUntilSettled } from '../client/setting.ts';
import { FakeClock } from '../support/fake-clock.ts';

interface Setting {
  clock: FakeClock;
  /** When each probe began, in milliseconds. */
  begun: number[];
  controller: AbortController;
  run(probe: Probe<string>, options?: Partial<PingOptions>): Promise<string[]>;
}

/** Outcomes as texts: the reply, or the code of the failure. */
function setting(): Setting {
  const clock = new FakeClock();
  const begun: number[] = [];
  const controller = new AbortController();
  const run: Setting['run'] = (probe, options) => {
    const noted: Probe<string> = (signal) => {
      begun.push(clock.monotonicMs());
      return probe(signal);
    };
    const { signal } = controller;
    const outcomes = ping(noted, { count: 3, intervalMs: 1_000, waitMs: 5_000, clock, signal, ...options });
    const texts = Array.fromAsync(
      outcomes,
      ({ sequence, reply, failure }) => `${sequence} ${reply ?? failure.code}`,
    );
    return passUntilSettled(clock, texts);
  };
  return { clock, begun, controller, run };
}

const never: Probe<string> = (signal) =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

test('asks as often as it is told to, an interval from beginning to beginning', async () => {
  const { clock, begun, run } = setting();
  const quick = () => new Promise<string>((resolve) => clock.schedule(10, () => resolve('pong')));
  expect(await run(quick)).toEqual(['1 pong', '2 pong', '3 pong']);
  expect(begun).toEqual([0, 1_000, 2_000]);
});

test('an answer that takes longer than the interval is waited for, and the next asked at once', async () => {
  const { clock, begun, run } = setting();
  const slow = () => new Promise<string>((resolve) => clock.schedule(3_000, () => resolve('pong')));
  expect(await run(slow)).toEqual(['1 pong', '2 pong', '3 pong']);
  expect(begun).toEqual([0, 3_000, 6_000]);
});

test('what is not answered in time is lost, and asked for no longer', async () => {
  const { begun, run } = setting();
  expect(await run(never, { waitMs: 200 })).toEqual(['1 stalled', '2 stalled', '3 stalled']);
  expect(begun).toEqual([0, 1_000, 2_000]);
});

test('a connection that breaks costs one answer', async () => {
  const { begun, run } = setting();
  const probe = async () => {
    if (begun.length === 2) throw new SealiftError('connection-lost', 'It broke.');
    return 'pong';
  };
  expect(await run(probe)).toEqual(['1 pong', '2 connection-lost', '3 pong']);
});

test('what will be no better the next time ends it', async () => {
  const { begun, run } = setting();
  const probe = () => Promise.reject(new SealiftError('forbidden', 'No.'));
  expect((await failureOf(run(probe))).code).toBe('forbidden');
  expect(begun).toHaveLength(1);
});

test.each(['while an answer is waited for', 'between two'])('is told to stop %s', async (when) => {
  const { clock, controller, begun, run } = setting();
  clock.schedule(1_500, () => controller.abort());
  const probe = when === 'between two' ? async () => 'pong' : never;
  const outcomes = await run(probe, { count: Infinity, waitMs: 1_400 });
  expect(outcomes).toEqual(when === 'between two' ? ['1 pong', '2 pong'] : ['1 stalled']);
  expect(begun).toHaveLength(2);
  expect(clock.pendingCount).toBe(0);
});
