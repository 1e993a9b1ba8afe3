import { SealiftError } from '../../errors.ts';
import { parentPath } from '../../transfer/remote-path.ts';
import type { Action } from './action.ts';
import type { Sides } from './decide.ts';
import { keptTime } from './time-grain.ts';
import type { TreeEntry } from './tree-entry.ts';

/** What must not be removed at the target although the source lacks it. */
export interface Protection {
  /** By pattern or list: what is left out on one side is left alone on the other. */
  protects(path: string, isDirectory: boolean): boolean;
  /** Files that the source has, and that their size or time keeps out. */
  leftOut: ReadonlySet<string>;
}

/** What is to be removed of what only the target has: each directory after all in it, and none that keeps something. */
export function deletions(extra: ReadonlyMap<string, TreeEntry>, protection: Protection): Action[] {
  const entries = [...extra.values()].filter(({ path }) => path !== '');
  const isKept = ({ path, type }: TreeEntry) =>
    protection.leftOut.has(path) || protection.protects(path, type === 'directory');
  const needed = new Set<string>();
  for (const entry of entries.filter(isKept)) {
    for (let path = entry.path; path !== '' && !needed.has(path); path = parentPath(path)) needed.add(path);
  }
  // What a directory holds stands behind it in the order of names.
  return entries
    .filter(({ path }) => !needed.has(path))
    .sort((a, b) => (a.path < b.path ? 1 : -1))
    .map((entry) => ({ kind: 'delete', entry }));
}

/**
 * Turns the sending of a file into a move where the target has the same content under a name that the source
 * lacks. Looked at are only files of the same size and time, which the target keeps to `grain`; then their digests
 * decide.
 */
export async function detectRenames(
  actions: readonly Action[],
  extra: Map<string, TreeEntry>,
  sides: Sides,
  { mayMove, grain }: { mayMove: (entry: TreeEntry) => boolean; grain: number },
): Promise<Action[]> {
  const candidates = new Map<string, TreeEntry[]>();
  for (const entry of extra.values()) {
    if (entry.type !== 'file' || entry.size === 0 || !mayMove(entry)) continue;
    const alike = candidates.get(likeness(entry, grain));
    if (alike === undefined) candidates.set(likeness(entry, grain), [entry]);
    else alike.push(entry);
  }
  const decided: Action[] = [];
  for (const action of actions) {
    const isNew = action.kind === 'file' && action.existing === undefined && !action.late;
    const from = isNew ? await sameContent(action.entry, candidates, sides, grain) : undefined;
    if (from === undefined) decided.push(action);
    else {
      extra.delete(from.path);
      const fromDirectory = extra.get(parentPath(from.path));
      decided.push({ kind: 'move', entry: action.entry, from, fromDirectory });
    }
  }
  return decided;
}

async function sameContent(
  entry: TreeEntry,
  candidates: ReadonlyMap<string, TreeEntry[]>,
  sides: Sides,
  grain: number,
): Promise<TreeEntry | undefined> {
  const alike = candidates.get(likeness(entry, grain)) ?? [];
  for (const [index, candidate] of alike.entries()) {
    // What cannot be read now is told when it is to be sent.
    const isSame = await sides.hasSameContent(entry.path, candidate.path).catch(() => false);
    if (!isSame) continue;
    alike.splice(index, 1);
    return candidate;
  }
  return undefined;
}

function likeness(entry: TreeEntry, grain: number): string {
  return `${entry.size} ${keptTime(entry, grain)}`;
}

/** How many entries of the target may be removed: a number, or a share of all that stands there. */
export type MaxDelete = { count: number } | { percent: number };

/** `too-many-deletions` if more is to be removed than `maxDelete` allows. */
export function deletionsProblem(
  actions: readonly Action[],
  targetEntries: number,
  maxDelete: MaxDelete,
): SealiftError | undefined {
  const count = actions.filter(({ kind }) => kind === 'delete').length;
  const limit =
    'count' in maxDelete ? maxDelete.count : Math.floor((targetEntries * maxDelete.percent) / 100);
  if (count <= limit) return undefined;
  const said = 'count' in maxDelete ? `${maxDelete.count}` : `${maxDelete.percent} % of ${targetEntries}`;
  return new SealiftError(
    'too-many-deletions',
    `${count} entries of the target would be deleted, and at most ${said} may be. Nothing was changed.`,
    { hint: 'If that is right, as --dry-run shows it: allow more with --max-delete.' },
  );
}

/** Throws `empty-source` if an empty source would be made the measure of a target that is not empty. */
export function checkSource(sourceEntries: number, targetEntries: number, what: string): void {
  if (sourceEntries > 0 || targetEntries === 0) return;
  throw new SealiftError(
    'empty-source',
    `${what}, and the target has ${targetEntries} entries. Nothing was changed.`,
    { hint: 'Is something not mounted? If the source is there and meant to be empty: --allow-empty-source.' },
  );
}
