import { expect, test } from 'vitest';
import { eventText, faultsText } from '../../src/cli/chaos-display.ts';

test.each([
  [{}, 'no faults: everything is forwarded as it is'],
  [{ latencyMs: 50 }, 'late by 50ms each way'],
  [{ latencyMs: 50, jitterMs: 20 }, 'late by 50ms to 70ms each way'],
  [{ jitterMs: 20 }, 'late by 0ms to 20ms each way'],
  [{ bytesPerSecond: 1_048_576 }, 'at most 1.0M/s'],
  [{ cut: { afterBytes: 65_536, mode: 'rst' } }, 'closes after 64.0K'],
  [{ resetEveryMs: 2_000 }, 'resets every 2.0s'],
  [{ stallAfterBytes: 10, splitBytes: 1 }, 'silent after 10B, in pieces of 1B'],
  [{ corruptAtByte: 0 }, 'damages byte 0'],
  [{ blackhole: true }, 'never answers'],
] as const)('%j is told as %j', (faults, text) => {
  expect(faultsText(faults)).toBe(text);
});

const bytes = { up: 1_024, down: 5 };

test.each([
  [{ kind: 'opened' }, '#3 opened'],
  [{ kind: 'closed' }, '#3 closed: up 1.0K, down 5B'],
  [{ kind: 'unreachable', reason: 'ECONNREFUSED' }, '#3 the target cannot be reached (ECONNREFUSED)'],
  [{ kind: 'unreachable' }, '#3 the target cannot be reached (unknown)'],
  [{ kind: 'corrupted', direction: 'down' }, '#3 flipped a bit on the way down'],
  [{ kind: 'stalled' }, '#3 silent on the way up: up 1.0K, down 5B'],
  [{ kind: 'cut', mode: 'rst' }, '#3 reset: up 1.0K, down 5B'],
  [{ kind: 'cut', mode: 'fin' }, '#3 closed on purpose: up 1.0K, down 5B'],
  [{ kind: 'refused' }, '#3 refused'],
  [{ kind: 'unanswered' }, '#3 accepted, and never answered'],
] as const)('the event %j is told as %j', (event, text) => {
  expect(eventText({ connection: 3, bytes, ...event })).toBe(text);
});
