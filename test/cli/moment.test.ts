import { expect, test } from 'vitest';
import { parseMoment } from '../../src/cli/moment.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { codeThrownBy } from '../thrown.ts';

const clock = new FakeClock();
test.each([
  ['7d', clock.now() - 604_800_000],
  ['1.5s', clock.now() - 1_500],
  ['0', clock.now()],
  ['2026-01-31', new Date(2026, 0, 31).getTime()],
  ['2024-02-29', new Date(2024, 1, 29).getTime()],
  ['2026-01-31T12:30', new Date(2026, 0, 31, 12, 30).getTime()],
  [' 2026-01-31T12:00:00Z ', Date.UTC(2026, 0, 31, 12)],
  ['2026-01-31T12:00:00.250+02:00', Date.UTC(2026, 0, 31, 10, 0, 0, 250)],
])('%j is %i', (text, moment) => expect(parseMoment(text, clock)).toBe(moment));

test.each([
  '',
  'soon',
  '2026-02-30',
  '2026-13-01',
  '2026-01-31T25:00',
  '2026-1-31',
  '31.01.2026',
  '2026-01-31 12:00',
  '-7d',
])('%j is none', (text) => expect(codeThrownBy(() => parseMoment(text, clock))).toBe('usage'));
