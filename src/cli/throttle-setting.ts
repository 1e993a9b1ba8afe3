import type { TransferOptions } from '../client/transfer-options.ts';
import { Throttle } from '../transport/throttle.ts';
import { systemClock } from '../clock.ts';
import type { RunContext } from './run-context.ts';

const throttles = new WeakMap<RunContext, Throttle>();

/** What `--bwlimit` asks for: one limit for all files of the run; undefined without. */
export function throttleOf(context: RunContext): TransferOptions['throttle'] {
  const { bwlimit } = context.settings;
  if (typeof bwlimit !== 'number' || bwlimit <= 0) return undefined;
  const throttle =
    throttles.get(context) ??
    new Throttle({ bytesPerSecond: bwlimit, clock: systemClock, signal: context.signal });
  throttles.set(context, throttle);
  return (bytes, signal) => throttle.take(bytes, signal);
}
