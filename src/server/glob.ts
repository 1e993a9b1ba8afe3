import { nextTurn, throwIfAborted } from '../clock.ts';
import type { Entry } from '../storage/store.ts';

/** Characters that all searches together compare in a turn of the event loop: a few milliseconds. */
const STEPS_PER_TURN = 1_000_000;

let steps = 0;
let lastTurn: Promise<void> = Promise.resolve();

/**
 * The paths of the files among `entries` that contain `query`, or match it as a glob: `?` is one character, `*` any within
 * a component, `**` any across components. Others have their turn meanwhile, however long path and query are, and
 * however many searches there are.
 */
export async function* matchingFiles(
  entries: AsyncIterable<Entry>,
  query: string,
  signal?: AbortSignal,
): AsyncGenerator<string> {
  const tokens = /[*?]/.test(query) ? (query.match(/\*+|\?|[^*?]/gsu) ?? []) : undefined;
  for await (const { type, path } of entries) {
    throwIfAborted(signal);
    if (type !== 'file') continue;
    if (steps >= STEPS_PER_TURN) await ownTurn();
    steps += path.length * (tokens?.length ?? 1);
    if (path.includes(query) || (tokens !== undefined && matchesGlob(path, tokens))) yield path;
  }
}

/** Searches that wait have one turn each: all in one, they would be as long as they are many. */
function ownTurn(): Promise<void> {
  lastTurn = lastTurn.then(async () => {
    await nextTurn();
    steps = 0;
  });
  return lastTurn;
}

/**
 * Written here because the pattern comes from a peer: regular expressions made from globs can take exponential time,
 * this takes at most length times length.
 */
function matchesGlob(path: string, tokens: readonly string[]): boolean {
  const characters = [...path];
  const { length } = characters;
  // reachable[i]: the tokens so far can match the first i characters.
  let reachable = new Uint8Array(length + 1);
  let next = new Uint8Array(length + 1);
  reachable[0] = 1;
  for (const token of tokens) {
    const isStar = token.startsWith('*');
    const mayCross = token.length > 1 && isStar;
    next[0] = isStar ? (reachable[0] as number) : 0;
    for (let end = 1; end <= length; end += 1) {
      const last = characters[end - 1];
      if (isStar) next[end] = reachable[end] || (mayCross || last !== '/' ? (next[end - 1] as number) : 0);
      else next[end] = (token === '?' ? last !== '/' : last === token) ? (reachable[end - 1] as number) : 0;
    }
    if (!next.includes(1)) return false;
    [reachable, next] = [next, reachable];
  }
  return reachable[length] === 1;
}
