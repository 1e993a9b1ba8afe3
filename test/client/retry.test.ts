import { describe, expect, test } from 'vitest';

import {
  DEFAULT_RETRY_POLICY,
  retryDelay,
  withRetries,
  type RetryEvent,
  type RetryPolicy,
  type SharedProgress,
} from '../../src/client/retry.ts';
import { SealiftError } from '../../src/errors.ts';
import type { Random } from '../../src/random.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { failureOf, passUntilSettled } from './setting.ts';

const lost = (retryAfterMs?: number) =>
  new SealiftError('connection-lost', 'Gone.', retryAfterMs === undefined ? {} : { retryAfterMs });

/** The same numbers in every run; a linear congruence is random enough for jitter. */
function seededRandom(seed: number): Random {
  let state = seed;
  return {
    bytes: (length) => Buffer.alloc(length),
    fraction: () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648,
  };
}
const always = (fraction: number): Random => ({ ...seededRandom(1), fraction: () => fraction });

/** Runs `attempt` with time that passes by itself; records when each attempt began. */
async function run(
  attempt: (nth: number, progressed: () => void) => Promise<string>,
  {
    policy = DEFAULT_RETRY_POLICY,
    random = always(0.5),
    sharedProgress,
  }: { policy?: RetryPolicy; random?: Random; sharedProgress?: SharedProgress } = {},
) {
  const clock = new FakeClock();
  const startsMs: number[] = [];
  const events: RetryEvent[] = [];
  const running = withRetries(
    { policy, clock, random, onRetry: (event) => events.push(event), sharedProgress },
    (progressed) => attempt(startsMs.push(clock.monotonicMs()), progressed),
  );
  const outcome = await passUntilSettled(clock, running).catch((error: unknown) => error as SealiftError);
  return { outcome, startsMs, events, clock };
}

describe('the delay before a retry', () => {
  test.each([
    [0, 500],
    [1, 1_000],
    [2, 2_000],
    [5, 16_000],
    [6, 30_000],
    [60, 30_000],
    [2_000, 30_000],
  ])('the one with number %i is anywhere below %i ms', (retries, ceilingMs) => {
    for (const fraction of [0, 0.25, 0.999]) {
      expect(retryDelay(retries, lost(), DEFAULT_RETRY_POLICY, always(fraction))).toBe(fraction * ceilingMs);
    }
  });

  test('is spread over the whole span', () => {
    const random = seededRandom(7);
    const delays = Array.from({ length: 1_000 }, () => retryDelay(3, lost(), DEFAULT_RETRY_POLICY, random));
    const quarters = [0, 0, 0, 0];
    for (const delay of delays) quarters[Math.floor(delay / 1_000)]! += 1;
    for (const count of quarters) expect(count).toBeGreaterThan(180);
  });

  test.each([
    { retryAfterMs: 200, expected: 200 },
    { retryAfterMs: 29_999, expected: 29_999 },
    { retryAfterMs: 86_400_000, expected: 30_000 },
  ])(
    'is at least the $retryAfterMs ms that the server asks for, within reason',
    ({ retryAfterMs, expected }) => {
      expect(retryDelay(0, lost(retryAfterMs), DEFAULT_RETRY_POLICY, always(0.1))).toBe(expected);
    },
  );

  test('may be longer than what the server asks for', () => {
    expect(retryDelay(4, lost(200), DEFAULT_RETRY_POLICY, always(0.5))).toBe(4_000);
  });
});

describe('withRetries', () => {
  test('waits between attempts as long as it says', async () => {
    const { outcome, startsMs, events } = await run(async (nth) => {
      if (nth < 4) throw lost();
      return 'done';
    });
    expect(outcome).toBe('done');
    expect(startsMs).toEqual([0, 250, 750, 1_750]);
    expect(events.map(({ retry, delayMs }) => [retry, delayMs])).toEqual([
      [1, 250],
      [2, 500],
      [3, 1_000],
    ]);
  });

  test('gives up after 8 retries, and says why', async () => {
    const { outcome, startsMs } = await run(async () => {
      throw new SealiftError('stalled', 'Silence.', { hint: 'Look at the cable.', details: { index: 3 } });
    });
    expect(startsMs).toHaveLength(9);
    expect(outcome).toMatchObject({
      code: 'retries-exhausted',
      message: expect.stringMatching(/^Silence\..*8 retries/),
      hint: 'Look at the cable.',
      details: { index: 3, lastCode: 'stalled' },
      cause: expect.objectContaining({ code: 'stalled' }),
    });
  });

  test('begins to count anew only when there was progress', async () => {
    const { outcome, startsMs, events } = await run(async (nth, progressed) => {
      if (nth === 8 || nth === 16) progressed();
      throw lost();
    });
    expect(startsMs).toHaveLength(24);
    expect(events.map(({ retry }) => retry)).toEqual([
      ...[1, 2, 3, 4, 5, 6, 7],
      ...[1, 2, 3, 4, 5, 6, 7, 8],
      ...[1, 2, 3, 4, 5, 6, 7, 8],
    ]);
    expect(outcome).toMatchObject({ code: 'retries-exhausted' });
  });

  test('gives up when a further attempt would come later than 15 minutes after the first failure', async () => {
    const policy = { ...DEFAULT_RETRY_POLICY, retries: 1_000 };
    const { outcome, startsMs } = await run(async () => Promise.reject(lost()), {
      policy,
      random: always(1),
    });
    expect(outcome).toMatchObject({ code: 'retries-exhausted' });
    expect(startsMs.at(-1)).toBeLessThanOrEqual(900_000);
    expect(startsMs.at(-1)).toBeGreaterThan(870_000 - 1);
  });

  test('the 15 minutes begin anew with progress too', async () => {
    const policy = { ...DEFAULT_RETRY_POLICY, retries: 1_000 };
    const { startsMs } = await run(
      async (nth, progressed) => {
        if (nth === 30) progressed();
        throw lost();
      },
      { policy, random: always(1) },
    );
    expect(startsMs.at(-1)).toBeGreaterThan(1_500_000);
  });

  test('the count begins anew while another that shares the link gets on', async () => {
    const sharedProgress = { count: 0 };
    const { startsMs } = await run(
      async (nth) => {
        if (nth <= 20) sharedProgress.count += 1;
        throw lost();
      },
      { sharedProgress },
    );
    expect(startsMs).toHaveLength(20 + DEFAULT_RETRY_POLICY.retries);
  });

  test('a server that asks for more time than there is left is not waited for', async () => {
    const policy = { ...DEFAULT_RETRY_POLICY, maxElapsedMs: 20_000 };
    const { startsMs } = await run(async () => Promise.reject(lost(25_000)), { policy });
    expect(startsMs).toEqual([0]);
  });

  test.each([
    ['an error that no retry mends', new SealiftError('forbidden', 'No.'), 'forbidden'],
    ['one that the server calls final', new SealiftError('busy', 'No.', { retryable: false }), 'busy'],
    ['one of nobody', new RangeError('odd'), 'internal'],
  ])('throws %s at once', async (_, error, code) => {
    const { outcome, startsMs } = await run(async () => Promise.reject(error), {
      policy: { ...DEFAULT_RETRY_POLICY, retries: code === 'internal' ? 0 : 8 },
    });
    expect(startsMs).toHaveLength(1);
    expect(outcome).toMatchObject({ code });
  });

  test('without retries the error itself is thrown', async () => {
    const { outcome } = await run(async () => Promise.reject(lost()), {
      policy: { ...DEFAULT_RETRY_POLICY, retries: 0 },
    });
    expect(outcome).toMatchObject({ code: 'connection-lost' });
  });

  test('an abort ends the wait, and leaves no timer', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const running = withRetries(
      { policy: DEFAULT_RETRY_POLICY, clock, random: always(1), signal: controller.signal },
      async () => Promise.reject(lost()),
    );
    await clock.whenScheduled();
    controller.abort();
    expect((await failureOf(running)).code).toBe('aborted');
    expect(clock.pendingCount).toBe(0);
  });
});

test.each([{ retries: NaN }, { maxElapsedMs: NaN }, { baseDelayMs: NaN }, { maxDelayMs: undefined }])(
  'a policy with %o is refused before the first attempt',
  async (part) => {
    const policy = { ...DEFAULT_RETRY_POLICY, ...part } as RetryPolicy;
    const { outcome, startsMs } = await run(() => Promise.reject(lost()), { policy });
    expect(outcome).toMatchObject({ code: 'invalid-argument', retryable: false });
    expect(startsMs).toEqual([]);
  },
);
