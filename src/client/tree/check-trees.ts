import { SealiftError } from '../../errors.ts';
import type { DirectoryAction, SendAction, SkipReason } from './action.ts';
import { each, mapConcurrently } from './concurrency.ts';
import type { TreeDirection } from './direction.ts';
import { linkProblem, nearest, type TreeEntry } from './tree-entry.ts';
import type { TreeFilter } from './tree-filter.ts';

/** Something that is not the same on both sides. */
export interface Difference {
  path: string;
  kind: 'missing' | 'different' | 'extra';
  /** As the source has it, and as the target has it. */
  entry?: TreeEntry | undefined;
  existing?: TreeEntry | undefined;
}

/**
 * Compares two trees by reading every byte of every file on both sides: content of files, targets of links, and
 * which names there are; no times or permission bits. Tells `onProblem` of what could not be read, `onCompared` of each
 * entry that was compared, and `onSkipped` of what the source has and is never sent.
 */
export async function* checkTrees(
  direction: TreeDirection,
  { filter, signal, onProblem, isHopeless, onCompared, onSkipped }: CheckOptions,
): AsyncGenerator<Difference> {
  // What either side has below a directory that cannot be read, or is not looked into for its name, nobody knows.
  const unseenAtTarget = new Map<string, true>();
  const unseen = new Map<string, true>();
  const target = await direction.scanTarget((error, path) => {
    if (filter.protects(path, true)) return;
    unseenAtTarget.set(path, true);
    onProblem(error, path);
  });
  const leftOut = new Set<string>();
  const source = direction.scanSource({
    filter,
    signal,
    onProblem: (error, path) => {
      unseen.set(path, true);
      onProblem(error, path);
    },
    onLeftOut: (path) => leftOut.add(path),
    onSpecial: (path) => {
      leftOut.add(path);
      onSkipped?.(path, 'special');
    },
    onReserved: (path) => {
      unseen.set(path, true);
      onSkipped?.(path, 'reserved');
    },
  });
  const seen = new Set<string>();
  const compare = async (entry: TreeEntry) => {
    seen.add(entry.path);
    if (nearest(entry.path, unseenAtTarget) === true) return undefined;
    try {
      const existing = target.get(entry.path);
      const kind = await differenceOf(direction, entry, existing);
      onCompared?.(entry);
      return kind === undefined ? undefined : { path: entry.path, kind, entry, existing };
    } catch (error) {
      if (!(error instanceof SealiftError) || signal?.aborted === true || isHopeless(error)) throw error;
      onProblem(error, entry.path);
      return undefined;
    }
  };
  const limit = () => direction.comparedAtOnce;
  for await (const difference of mapConcurrently(each(source), limit, compare))
    if (difference !== undefined) yield difference;
  for (const existing of [...target.values()].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const { path, type } = existing;
    const isMeant = !seen.has(path) && !leftOut.has(path) && !filter.protects(path, type === 'directory');
    if (path !== '' && isMeant && nearest(path, unseen) === undefined)
      yield { path, kind: 'extra', existing };
  }
}

export interface CheckOptions {
  filter: TreeFilter;
  onProblem: (error: SealiftError, path: string) => void;
  /** Whether a failure means that everything else would fail too. */
  isHopeless: (error: SealiftError) => boolean;
  onCompared?: ((entry: TreeEntry) => void) | undefined;
  onSkipped?: ((path: string, reason: SkipReason) => void) | undefined;
  signal?: AbortSignal | undefined;
}

async function differenceOf(
  direction: TreeDirection,
  entry: TreeEntry,
  existing: TreeEntry | undefined,
): Promise<'missing' | 'different' | undefined> {
  const problem = linkProblem(entry);
  if (problem !== undefined) throw problem;
  if (existing === undefined) return 'missing';
  const isSame =
    entry.type === existing.type &&
    (entry.type === 'directory' ||
      (entry.size === existing.size && (await hasSameContent(direction, entry, existing))));
  return isSame ? undefined : 'different';
}

async function hasSameContent(
  direction: TreeDirection,
  entry: TreeEntry,
  existing: TreeEntry,
): Promise<boolean> {
  return entry.type === 'symlink'
    ? entry.target === existing.target
    : direction.hasSameContent(entry, existing);
}

/** What makes or sends again what is missing or different; undefined for what the target has too much, or in another kind. */
export function repairOf({ entry, existing, kind }: Difference): DirectoryAction | SendAction | undefined {
  if (entry === undefined || kind === 'extra') return undefined;
  if (entry.type === 'directory')
    return kind === 'missing' ? { kind: 'directory', entry, differs: true } : undefined;
  if (existing?.type === 'directory') return undefined;
  return { kind: entry.type === 'symlink' ? 'link' : 'file', entry, to: entry.path, existing, late: false };
}
