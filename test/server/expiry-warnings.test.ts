import { expect, test } from 'vitest';

import { ExpiryWarnings, type Ending } from '../../src/server/expiry-warnings.ts';
import { silentLogger } from '../../src/logger.ts';
import { FakeClock } from '../support/fake-clock.ts';

const DAY_MS = 86_400_000;

function setUp(endings: () => Ending[], clock: FakeClock) {
  const lines: [string, unknown, string][] = [];
  const note = (level: string) => (facts: object, text: string) => {
    lines.push([level, 'daysLeft' in facts ? facts.daysLeft : undefined, text]);
  };
  const logger = { ...silentLogger, warn: note('warn'), error: note('error') };
  return { warnings: new ExpiryWarnings(clock, logger, endings), lines };
}

test('what ends is told of 30, 14, 7 and 1 days before, and when it has ended, each once', () => {
  const clock = new FakeClock();
  const ending = { what: 'it', endsMs: clock.now() + 40 * DAY_MS, remedy: 'Renew it.' };
  const { warnings, lines } = setUp(() => [ending], clock);
  warnings.look();
  for (let hours = 0; hours < 42 * 24; hours += 1) clock.advance(3_600_000);
  expect(lines).toEqual([
    ['warn', 30, 'expires soon'],
    ['warn', 14, 'expires soon'],
    ['warn', 7, 'expires soon'],
    ['warn', 1, 'expires soon'],
    ['error', undefined, 'expired'],
  ]);
  warnings.close();
  expect(clock.pendingCount).toBe(0);
});

test('at the start it is told once what is near, and a renewed one is not near any more', () => {
  const clock = new FakeClock();
  let endsMs = clock.now() + 5 * DAY_MS;
  const { warnings, lines } = setUp(() => [{ what: 'it', endsMs, remedy: 'Renew it.' }], clock);
  warnings.look();
  warnings.look();
  expect(lines).toEqual([['warn', 5, 'expires soon']]);
  endsMs += 90 * DAY_MS;
  warnings.look();
  clock.advance(3_600_000);
  expect(lines).toHaveLength(1);
  warnings.close();
});
