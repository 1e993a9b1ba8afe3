import { SealiftError } from '../../errors.ts';
import { parentPath } from '../../transfer/remote-path.ts';
import type { Action } from './action.ts';
import { forEachConcurrently } from './concurrency.ts';
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
  const isNew = (action: Action) =>
    action.kind === 'file' && action.existing === undefined && !action.late && action.entry.size > 0;
  const mayBeMoved = (entry: TreeEntry) => entry.type === 'file' && mayMove(entry);
  const both = alike(actions.filter(isNew), [...extra.values()].filter(mayBeMoved), grain);
  // Each is read once: of a tree whose files all bear one time, any may be any other.
  const sent = await digests(both.sent, sides, (entry) => sides.sourceDigest(entry));
  const standing = await digests(both.standing, sides, (entry) => sides.targetDigest(entry));
  const identity = (entry: TreeEntry, digest: string | undefined) =>
    digest && `${likeness(entry, grain)} ${digest}`;
  const free = Map.groupBy(both.standing, (entry) => identity(entry, standing.get(entry.path)));
  return actions.map((action) => {
    const same = isNew(action) ? identity(action.entry, sent.get(action.entry.path)) : undefined;
    const from = same === undefined ? undefined : free.get(same)?.shift();
    if (from === undefined) return action;
    extra.delete(from.path);
    return { kind: 'move', entry: action.entry, from, fromDirectory: extra.get(parentPath(from.path)) };
  });
}

/** Of what is to be sent, and of what stands, that which has the size and time of one of the others. */
function alike(
  actions: readonly Action[],
  standing: readonly TreeEntry[],
  grain: number,
): { sent: TreeEntry[]; standing: TreeEntry[] } {
  const sent = actions.map(({ entry }) => entry);
  const kinds = new Set(sent.map((entry) => likeness(entry, grain)));
  const found = standing.filter((entry) => kinds.has(likeness(entry, grain)));
  const foundKinds = new Set(found.map((entry) => likeness(entry, grain)));
  return { sent: sent.filter((entry) => foundKinds.has(likeness(entry, grain))), standing: found };
}

/** The digests of entries by path, of those that can be read: what cannot is told when it is to be sent. */
async function digests(
  entries: readonly TreeEntry[],
  sides: Sides,
  digest: (entry: TreeEntry) => Promise<string>,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  await forEachConcurrently(
    [entries],
    () => sides.comparedAtOnce,
    async (entry) => {
      const read = await digest(entry).catch(() => undefined);
      if (read !== undefined) found.set(entry.path, read);
    },
  );
  return found;
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
