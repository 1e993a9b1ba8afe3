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
    for (const { run, samples } of ordered(results, round)) samples.push(await run());
  }
  return results;
}

/**
 * The order of `values` in a round: each comes behind another one every time, since what the one before leaves behind
 * (memory, caches, a disk at work) makes it easier or harder. After as many rounds, for an odd number of values after
 * twice as many, each has been behind each other equally often (E. J. Williams, "Experimental designs balanced for the
 * estimation of residual effects of treatments", 1949).
 */
export function ordered<T>(values: readonly T[], round: number): T[] {
  const count = values.length;
  const order = values.map((_, place) => {
    const zigzag = place % 2 === 1 ? (place + 1) / 2 : count - place / 2;
    return values[(zigzag + round) % count] as T;
  });
  return count % 2 === 1 && round % 2 === 1 ? order.toReversed() : order;
}
