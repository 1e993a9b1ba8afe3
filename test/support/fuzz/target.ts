import { existsSync, readdirSync } from 'node:fs';

import { seededRandom, type Random } from '../../../src/random.ts';

/** What is done to a target in one round, step by step. */
export interface Script<Step> {
  steps: readonly Step[];
}

/** Something that is to bear whatever is done to it. */
export interface Target<S extends Script<unknown>> extends AsyncDisposable {
  /** Makes up a script. */
  invent(random: Random): S;
  /** Does what the script says; rejects if that does harm of any kind. */
  perform(script: S): Promise<void>;
  /** A script as a person reads it, a line for each step. */
  describe(script: S): string[];
}

export interface FuzzOptions {
  /** Of the first round; each later one has the next. */
  seed: number;
  /** Asked before each round, with how many there were. */
  isOver: (rounds: number) => boolean;
  /** How to run a round again that has this seed. */
  command: (seed: number) => string;
}

/** After so many rounds a target is replaced, so that what one round leaves may disturb the next, but not for ever. */
const ROUNDS_PER_TARGET = 100;

/**
 * Makes up scripts for targets until it is over, and resolves with how many did no harm. The first that does is made as
 * small as it can be by leaving steps out, and told in the error.
 */
export async function fuzz<S extends Script<unknown>>(
  start: () => Promise<Target<S>>,
  { seed, isOver, command }: FuzzOptions,
): Promise<number> {
  let rounds = 0;
  let usage: Usage | undefined;
  while (!isOver(rounds)) {
    const target = await start();
    try {
      for (let round = 0; round < ROUNDS_PER_TARGET && !isOver(rounds); round += 1) {
        const roundSeed = (seed + rounds) >>> 0;
        const script = target.invent(seededRandom(roundSeed));
        const harm = await harmOf(target, script);
        if (harm !== undefined) {
          // The search for the smallest may take longer than whoever waits for it.
          console.error(`The round of the seed ${roundSeed} did harm: ${harm.message}`);
          throw await found(start, script, { harm, target, again: command(roundSeed) });
        }
        rounds += 1;
      }
    } finally {
      await target[Symbol.asyncDispose]();
    }
    // What is kept for good was made by the first target.
    usage ??= usageNow();
    assertReturned(usageNow(), usage);
  }
  return rounds;
}

/** What the process takes of the machine. */
interface Usage {
  handles: number;
  residentBytes: number;
}

/** More than that between two targets is no chance any more: as pools and the garbage collector have it. */
const MARGIN: Usage = { handles: 20, residentBytes: 768 * 2 ** 20 };

function usageNow(): Usage {
  const handles = '/proc/self/fd';
  return {
    handles: existsSync(handles) ? readdirSync(handles).length : 0,
    residentBytes: process.memoryUsage.rss(),
  };
}

function assertReturned(now: Usage, before: Usage): void {
  for (const resource of ['handles', 'residentBytes'] as const)
    if (now[resource] > before[resource] + MARGIN[resource])
      throw new Error(
        `It took ${before[resource]} ${resource} after the first target, and now ${now[resource]}.`,
      );
}

/** What went wrong, if anything did; also what nobody waited for. */
async function harmOf<S extends Script<unknown>>(target: Target<S>, script: S): Promise<Error | undefined> {
  const unheard: unknown[] = [];
  const note = (error: unknown) => void unheard.push(error);
  process.on('unhandledRejection', note).on('uncaughtException', note);
  try {
    await target.perform(script);
    if (unheard.length > 0) return new Error('Something failed unheard.', { cause: unheard[0] });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    process.off('unhandledRejection', note).off('uncaughtException', note);
  }
}

async function found<S extends Script<unknown>>(
  start: () => Promise<Target<S>>,
  script: S,
  { harm, target, again }: { harm: Error; target: Target<S>; again: string },
): Promise<Error> {
  const smallest = await shrunk(start, script);
  const lines =
    smallest === undefined
      ? ['Alone it does none, after the rounds before it, it did:', ...target.describe(script)]
      : ['The smallest that does it:', ...target.describe(smallest)];
  return new Error([`A round did harm: ${harm.message}`, ...lines, `Again: ${again}`].join('\n'), {
    cause: harm,
  });
}

/** The script with as few steps as still do harm to a fresh target; undefined if even all of them do none. */
async function shrunk<S extends Script<unknown>>(
  start: () => Promise<Target<S>>,
  script: S,
): Promise<S | undefined> {
  const doesHarm = async (candidate: S) => {
    const target = await start();
    try {
      return (await harmOf(target, candidate)) !== undefined;
    } finally {
      await target[Symbol.asyncDispose]();
    }
  };
  if (!(await doesHarm(script))) return undefined;
  let smallest = script;
  for (let index = 0; index < smallest.steps.length;) {
    const candidate = { ...smallest, steps: smallest.steps.toSpliced(index, 1) };
    if (await doesHarm(candidate)) smallest = candidate;
    else index += 1;
  }
  return smallest;
}
