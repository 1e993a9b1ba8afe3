import { nodeOf } from '../storage/same-node.ts';
import type { Entry, Store } from '../storage/store.ts';
import { parentPath } from '../transfer/remote-path.ts';
import type { Tally } from './usage.ts';
import { whatStands } from './what-stands.ts';

/** What is to become of a tree. */
export type Change =
  | {
      type: 'put';
      path: string;
      bytes: number;
      uploadKey?: string | undefined;
      /** Asked where there is no room for it: throws why it is refused anyway, and tells whether it was done already. */
      needsNoRoom?: (replaced: Entry | undefined) => boolean;
    }
  | { type: 'make'; path: string }
  | { type: 'remove'; path: string; isRecursive: boolean }
  | { type: 'move'; path: string; to: string };

/** The paths under which something else will stand. */
export function pathsOf(change: Change): string[] {
  return change.type === 'move' ? [change.path, change.to] : [change.path];
}

/** Whether directories are made, moved or removed by a change, as far as can be seen now. */
export async function touchesDirectories(store: Store, change: Change): Promise<boolean> {
  if (change.type === 'make') return true;
  if (change.type !== 'put' && (await whatStands(store, change.path))?.type === 'directory') return true;
  if (change.type === 'remove') return false;
  // Where another file stands in the way now, there may be nothing in a moment, and then a directory is made.
  return (await whatStands(store, parentPath(placeOf(change))))?.type !== 'directory';
}

/** Adds to `tally` what a change would do, and tells what it would replace. Nothing may change meanwhile. */
export async function tallyEffects(store: Store, change: Change, tally: Tally): Promise<Entry | undefined> {
  if (change.type === 'remove') {
    await tallyRemoval(store, change, tally);
    return undefined;
  }
  if (change.type === 'move' && change.to === change.path) return undefined;
  const place = placeOf(change);
  const replaced = await whatStands(store, place);
  if (change.type === 'make' && replaced !== undefined) return replaced;
  const moved = change.type === 'move' ? await whatStands(store, change.path) : undefined;
  // Two names of one file, or two spellings of one name, of which nothing goes: what that counts too much is counted anew.
  if (replaced !== undefined && moved !== undefined && nodeOf(replaced.etag) === nodeOf(moved.etag))
    return replaced;
  if (replaced === undefined) await tallyParents(store, place, tally);
  else tallyLoss(store, replaced, tally);
  if (change.type === 'move') await tallyMove(store, change, moved, tally);
  else tally.add(place, change.type === 'put' ? change.bytes : 0);
  return replaced;
}

function placeOf(change: Exclude<Change, { type: 'remove' }>): string {
  return change.type === 'move' ? change.to : change.path;
}

/** What is lost to its name, and stays as a version if it is a file and these are kept. */
function tallyLoss({ features }: Store, { path, type, size }: Entry, tally: Tally): void {
  if (type !== 'file' || !features.versions) tally.add(path, size, -1);
}

/** The directories that are missing above a path will be made. */
async function tallyParents(store: Store, path: string, tally: Tally): Promise<void> {
  const standing = await store.nearest(path);
  for (let parent = parentPath(path); parent.length > standing.length; parent = parentPath(parent))
    tally.add(parent, 0);
}

async function tallyRemoval(
  store: Store,
  { path, isRecursive }: Extract<Change, { type: 'remove' }>,
  tally: Tally,
): Promise<void> {
  const entry = await whatStands(store, path);
  if (entry === undefined) return;
  tallyLoss(store, entry, tally);
  if (entry.type !== 'directory' || !isRecursive) return;
  for await (const below of store.list(path, { recursive: true })) tallyLoss(store, below, tally);
}

async function tallyMove(
  store: Store,
  { path, to }: Extract<Change, { type: 'move' }>,
  moved: Entry | undefined,
  tally: Tally,
): Promise<void> {
  if (moved === undefined || tally.isSameAt(path, to)) return;
  const tallyOne = (entry: Entry) => {
    tally.add(entry.path, entry.size, -1);
    tally.add(`${to}${entry.path.slice(path.length)}`, entry.size);
  };
  tallyOne(moved);
  if (moved.type !== 'directory') return;
  for await (const entry of store.list(path, { recursive: true })) tallyOne(entry);
}
