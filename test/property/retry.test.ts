import fc from 'fast-check';
import { expect, test } from 'vitest';

import { withRetries, type RetryEvent, type RetryPolicy } from '../../src/client/retry.ts';
import { isSealiftError, SealiftError } from '../../src/errors.ts';
import { seededRandom } from '../../src/random.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { holds } from '../support/properties.ts';

/** A clock by which every wait is over at once, and took its time all the same. */
class HurryingClock extends FakeClock {
  override schedule(delayMs: number, callback: () => void): () => void {
    this.advance(delayMs);
    queueMicrotask(callback);
    return () => undefined;
  }
}

const policies: fc.Arbitrary<RetryPolicy> = fc.record({
  retries: fc.nat(12),
  maxElapsedMs: fc.nat(200_000),
  baseDelayMs: fc.nat(5_000),
  maxDelayMs: fc.nat(60_000),
});
/** What becomes of the attempts, one after the other; from then on all fail. */
const attempts = fc.array(
  fc.record({
    takesMs: fc.nat(20_000),
    hasProgress: fc.boolean(),
    end: fc.constantFrom('lost', 'lost', 'lost', 'asked to wait', 'for good', 'ok'),
    retryAfterMs: fc.nat(60_000),
  }),
  { maxLength: 20 },
);

test('whatever fails and gets on, delays and attempts stay within the policy', async (context) => {
  await holds(
    context,
    fc.asyncProperty(policies, attempts, fc.integer(), async (policy, todo, seed) => {
      const clock = new HurryingClock();
      const events: (RetryEvent & { atMs: number; hadProgress: boolean })[] = [];
      let hadProgress = false;
      let begun = 0;
      let failingSinceMs: number | undefined;
      const outcome = await withRetries(
        {
          policy,
          clock,
          random: seededRandom(seed),
          onRetry: (event) => events.push({ ...event, atMs: clock.monotonicMs(), hadProgress }),
        },
        async (progressed) => {
          // Nothing begins after the time is up, counted from the first failure without progress.
          if (failingSinceMs !== undefined)
            expect(clock.monotonicMs() - failingSinceMs).toBeLessThanOrEqual(policy.maxElapsedMs);
          const attempt = todo[begun] ?? { takesMs: 0, hasProgress: false, end: 'lost', retryAfterMs: 0 };
          begun += 1;
          clock.advance(attempt.takesMs);
          hadProgress = attempt.hasProgress;
          if (hadProgress) progressed();
          if (attempt.end === 'ok') return 'done';
          if (hadProgress || failingSinceMs === undefined) failingSinceMs = clock.monotonicMs();
          throw failureOf(attempt);
        },
      ).catch((error: unknown) => error);
      let expected = 0;
      for (const { retry, delayMs, error, hadProgress: gotOn } of events) {
        expected = gotOn ? 1 : expected + 1;
        expect(retry).toBe(expected);
        expect(retry).toBeLessThanOrEqual(policy.retries);
        const floorMs = Math.min(policy.maxDelayMs, error.retryAfterMs ?? 0);
        const ceilingMs = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** (retry - 1));
        expect(delayMs).toBeGreaterThanOrEqual(floorMs);
        expect(delayMs).toBeLessThanOrEqual(Math.max(floorMs, ceilingMs));
      }
      expect(events).toHaveLength(begun - 1);
      const last = todo[begun - 1]?.end;
      if (last === 'ok') expect(outcome).toBe('done');
      else if (last === 'for good') expect(isSealiftError(outcome, 'forbidden')).toBe(true);
      else expect(isSealiftError(outcome, 'retries-exhausted', 'connection-lost', 'busy')).toBe(true);
    }),
    { numRuns: 500 },
  );
});

function failureOf({ end, retryAfterMs }: { end: string; retryAfterMs: number }): SealiftError {
  if (end === 'for good') return new SealiftError('forbidden', 'No.');
  if (end === 'asked to wait') return new SealiftError('busy', 'Later.', { retryAfterMs });
  return new SealiftError('connection-lost', 'Gone.');
}
