import { isSealiftError, SealiftError, type ErrorCode } from '../../errors.ts';
import { BLOCK_BYTES } from '../../protocol/limits.ts';
import { formatSize } from '../../units.ts';
import { MOVING, type Measurement, type MeasurementKind, type Unmeasured } from './measurement.ts';
import { repeat, type Bounds, type Figures, type Work } from './repeat.ts';

/** One thing to measure. */
export interface Step {
  kind: MeasurementKind;
  name: string;
  /** Prepares for it, lets `run` repeat it, and clears up. */
  measure: (run: (work: Work) => Promise<Figures>) => Promise<Figures>;
}

/** What may be refused of a measurement while the others go on. */
const REFUSALS: readonly ErrorCode[] = [
  'forbidden',
  'busy',
  'rate-limited',
  'tls-refused',
  'quota-exceeded',
  'too-large',
  'no-space',
  'unsupported',
];

/** Takes one step after the other, each with an equal share of `bounds`. Throws `invalid-argument` if there is no room for all of them, and what is no mere refusal of one. */
export async function* measured(
  steps: readonly Step[],
  bounds: Bounds,
): AsyncGenerator<Measurement | Unmeasured> {
  const durationMs = bounds.durationMs / steps.length;
  const movingCount = steps.filter(({ kind }) => MOVING.has(kind)).length;
  const maxMoved = Math.floor(bounds.maxBytes / movingCount);
  if (maxMoved < BLOCK_BYTES) {
    throw new SealiftError(
      'invalid-argument',
      `${formatSize(bounds.maxBytes)} are too few bytes for ${movingCount} measurements of 1M at least.`,
    );
  }
  for (const { kind, name, measure } of steps) {
    const share = { ...bounds, durationMs, maxBytes: MOVING.has(kind) ? maxMoved : Infinity };
    try {
      yield { kind, name, ...(await measure((work) => repeat(work, share))) };
    } catch (error) {
      if (!isSealiftError(error, ...REFUSALS)) throw error;
      yield { kind, name, reason: error.message };
    }
  }
}
