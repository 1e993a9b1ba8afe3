import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { parseDuration } from '../units.ts';

const MOMENT = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})?)?$/;

/**
 * The moment, in milliseconds since 1970, that lies a duration before now (`7d`) or after it, or that a date names: `2026-01-31`
 * or `2026-01-31T12:00:00Z`, in local time unless it says otherwise. Throws `usage`.
 */
export function parseMoment(
  text: string,
  clock: Pick<Clock, 'now'>,
  direction: 'before' | 'after' = 'before',
): number {
  const [, date, time = 'T00:00:00'] = MOMENT.exec(text.trim()) ?? [];
  if (date !== undefined) {
    const moment = Date.parse(`${date}${time}`);
    // What is no day of its month counts on into the next otherwise.
    const day = new Date(`${date}T00:00:00Z`);
    if (!Number.isNaN(moment) && day.toISOString().startsWith(date)) return moment;
  }
  try {
    return clock.now() + (direction === 'before' ? -1 : 1) * parseDuration(text);
  } catch (cause) {
    throw new SealiftError(
      'usage',
      `${JSON.stringify(text)} is neither a date, such as 2026-01-31 or 2026-01-31T12:00:00Z, nor a duration ${direction} now, such as 7d.`,
      { cause },
    );
  }
}
