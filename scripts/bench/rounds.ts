// Does a work several times with all of its programs in turn.
import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

import type { Sizes } from './options.ts';
import { startPeers } from './peers/peers.ts';
import type { Case, Sample, Setting, Work } from './work.ts';

/** Where and how works are done. */
export interface RoundsOptions {
  directory: string;
  isDisk: boolean;
  /** The file of Sealift that is run. */
  program: string;
  sizes: Sizes;
  rounds: number;
  isQuick: boolean;
  leaveOut: Setting['leaveOut'];
  /** Called with what must be done in any case, however the work ends, and may be done twice. */
  onEnd: Setting['onEnd'];
  /** Called before each round. */
  onRound: (round: number, of: number) => void;
}

/** A case with what its runs showed, in order. */
export type Measured = Pick<Case, 'what' | 'program' | 'amount'> & { samples: Sample[] };

/**
 * Prepares a work, with servers that have done nothing yet, and does it in rounds. None if there is no room, or nobody
 * can do it.
 */
export async function doWork(work: Work, options: RoundsOptions): Promise<Measured[]> {
  const { directory, sizes, leaveOut, onEnd, isDisk, program } = options;
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize < work.room(sizes, options)) {
    leaveOut(work.name, `${directory} has no room for it`);
    return [];
  }
  const own = join(directory, 'work');
  mkdirSync(own);
  const missing = (name: string) => leaveOut(name, 'the Debian package is not installed');
  const peers = await startPeers({ program, directory, isDisk, missing, onEnd });
  return inTurn(await work.prepare({ directory: own, isDisk, sizes, peers, leaveOut, onEnd }), {
    ...options,
    rounds: options.rounds * (options.isQuick ? 1 : (work.repeats ?? 1)),
  });
}

async function inTurn(
  cases: readonly Case[],
  { rounds, onRound }: Pick<RoundsOptions, 'rounds' | 'onRound'>,
): Promise<Measured[]> {
  const results = cases.map((each) => ({ ...each, samples: [] as Sample[] }));
  for (let round = 0; round < rounds && results.length > 0; round += 1) {
    onRound(round + 1, rounds);
    for (const { run, samples } of rotated(results, round)) samples.push(await run());
  }
  return results;
}

/** Each begins in turn: whoever comes first, or always behind the same other, would have it easier or harder. */
export function rotated<T>(values: readonly T[], by: number): T[] {
  const start = by % values.length;
  return [...values.slice(start), ...values.slice(0, start)];
}
