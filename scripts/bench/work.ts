import type { Cost } from './measure.ts';
import type { Sizes } from './options.ts';
import type { Peers } from './peers/peers.ts';
import type { RoundsOptions } from './rounds.ts';

/** Something to be done, by several programs in turn. */
export interface Work {
  name: string;
  /** Whether it is also done on a disk, if one was named. */
  isForDisk: boolean;
  /** How many times as many rounds as asked for: short works are done more often. Default 1. */
  repeats?: number;
  /** The program that the others are compared with. Default `sealift`. */
  base?: string;
  /** Bytes that it needs in the directory, at most. */
  room(sizes: Sizes, place: Pick<RoundsOptions, 'isDisk' | 'rounds'>): number;
  /** Prepares it; what has to be closed later is told to the setting. */
  prepare(setting: Setting): Promise<Case[]>;
}

/** One program that does one work. */
export interface Case {
  /** The same for all programs that are compared: `put 1 GiB`. */
  what: string;
  program: string;
  /** How much is moved, for a rate. */
  amount?: { count: number; unit: 'MB' | 'files' | 'connections' } | undefined;
  /** Does it once, and throws unless the result is right. Leaves nothing in the way of the next. */
  run: () => Promise<Sample>;
}

/** What one run showed: its cost, and what else there is to tell of it, the unit in the name. */
export type Sample = Cost & { figures?: Readonly<Record<string, number>> };

/** Where a work is done. */
export interface Setting {
  /** Empty at first, and removed after the work. */
  directory: string;
  sizes: Sizes;
  peers: Peers;
  /** Whether `directory` is on a disk, where only what was synced is safe. */
  isDisk: boolean;
  /** Says why something is left out. */
  leaveOut: (what: string, why: string) => void;
  /** Calls `close` after the work. */
  onEnd: (close: () => Promise<void>) => void;
}
