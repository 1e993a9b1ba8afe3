import type { Measured } from '../rounds.ts';
import { median } from '../statistics.ts';
import type { Cost } from '../measure.ts';

/** What all runs of one program at one work come to: medians, but for memory and delays the largest. */
export interface Result extends Cost {
  /** The kind of file system that it was done on: `tmpfs`. */
  place: string;
  work: string;
  what: string;
  program: string;
  /** A second; the unit in it. */
  rate: { count: number; unit: string } | undefined;
  figures: Record<string, number>;
  /** How many times as long it took as the program that is compared with: over 1, that one is faster. */
  ratio: number | undefined;
  /** The seconds of each run. */
  samples: number[];
}

/** Where the runs were done, and with which program the others are compared. */
export interface Compared {
  place: string;
  work: string;
  base: string;
}

export function results(measured: readonly Measured[], { place, work, base }: Compared): Result[] {
  const secondsOf = ({ samples }: Measured) => median(samples.map(({ seconds }) => seconds));
  return measured.map((each) => {
    const { what, program, amount, samples } = each;
    const seconds = secondsOf(each);
    const compared = measured.find((other) => other.what === what && other.program === base);
    const peaks = samples.flatMap(({ serverPeak }) => serverPeak ?? []);
    return {
      place,
      work,
      what,
      program,
      seconds,
      clientCpu: median(samples.map(({ clientCpu }) => clientCpu)),
      serverCpu: median(samples.map(({ serverCpu }) => serverCpu)),
      serverPeak: peaks.length === 0 ? undefined : Math.max(...peaks),
      rate: amount && { count: amount.count / seconds, unit: `${amount.unit}/s` },
      figures: figuresOf(each),
      ratio: compared === undefined || compared === each ? undefined : seconds / secondsOf(compared),
      samples: samples.map((sample) => sample.seconds),
    };
  });
}

function figuresOf({ samples }: Measured): Record<string, number> {
  const all = samples.map(({ figures = {} }) => figures);
  return Object.fromEntries(
    Object.keys(all[0] ?? {}).map((name) => [name, Math.max(...all.map((figures) => figures[name] ?? NaN))]),
  );
}
