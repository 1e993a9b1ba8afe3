import type { Entry, Store } from '../storage/store.ts';
import { isWithin, parentPath } from '../transfer/remote-path.ts';
import { isGranted, leadsTo } from './authorization.ts';
import { whatStands } from './what-stands.ts';

type ListOptions = Parameters<Store['list']>[1];

/**
 * What a principal sees at `path`, as `Store.list`: all of it, or, above its prefixes, the directories that lead to
 * them and what stands there. Only these are read, however much stands beside them.
 */
export function visibleEntries(
  store: Store,
  prefixes: readonly string[],
  path: string,
  options: ListOptions,
): AsyncIterable<Entry> {
  if (isGranted(path, prefixes)) return store.list(path, options);
  const listOnTheWay = options.versions === true ? versionsOnTheWay : entriesOnTheWay;
  return listOnTheWay(store, prefixes, path, options);
}

async function* versionsOnTheWay(
  store: Store,
  prefixes: readonly string[],
  path: string,
  options: ListOptions,
): AsyncGenerator<Entry> {
  for (const prefix of prefixes) {
    if (!leadsTo(path, [prefix])) continue;
    // Above the prefixes, what is in them is seen by a recursive listing, and what stood at one of them by any.
    for await (const entry of store.list(prefix, options))
      if (options.recursive || parentPath(entry.path) === path) yield entry;
  }
}

async function* entriesOnTheWay(
  store: Store,
  prefixes: readonly string[],
  path: string,
  options: ListOptions,
): AsyncGenerator<Entry> {
  const passed = new Set<string>();
  for (const prefix of prefixes.filter((each) => leadsTo(path, [each]))) {
    for (const step of stepsBetween(path, prefix, options.recursive)) {
      if (passed.has(step)) continue;
      passed.add(step);
      const entry = await whatStands(store, step);
      if (entry === undefined) break;
      yield entry;
      if (step === prefix && entry.type === 'directory' && options.recursive)
        yield* store.list(step, options);
    }
  }
}

/** The paths from below `path` down to `prefix`; only the first of them, unless `isRecursive`. */
function stepsBetween(path: string, prefix: string, isRecursive: boolean): string[] {
  const components = prefix.split('/');
  const steps = components.map((_, index) => components.slice(0, index + 1).join('/'));
  const below = steps.filter((step) => step !== path && isWithin(step, path));
  return isRecursive ? below : below.slice(0, 1);
}
