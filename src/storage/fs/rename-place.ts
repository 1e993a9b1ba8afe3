import { nodeOf } from '../same-node.ts';
import type { Entry } from '../store.ts';
import type { FileSystem } from './file-system.ts';
import { renameEntry } from './read-only-directories.ts';
import type { Place } from './tree.ts';

/** Renames `moved`, which stands at `from`, to `target`, where `existing` stands: that may be another name of it, of which one remains. */
export async function renamePlace(
  files: FileSystem,
  from: Place,
  target: Place,
  { moved, existing }: { moved: Entry; existing: Entry | undefined },
): Promise<void> {
  await renameEntry(files, from.systemPath, target.systemPath);
  // Of two names of one file the system leaves both, and says that all is well.
  const isSame = existing !== undefined && nodeOf(existing.etag) === nodeOf(moved.etag);
  if (isSame && (await isNameOfItsOwn(files, from, target))) await files.unlink(from.systemPath);
}

/** Whether `from` is there still, and is no other spelling of `target`: where case does not count these are one name, and a listing tells it. */
async function isNameOfItsOwn(files: FileSystem, from: Place, target: Place): Promise<boolean> {
  if ((await from.directory.node()) !== (await target.directory.node())) return true;
  if (from.name === target.name) return false;
  for await (const name of files.names(from.directory.self)) if (name === from.name) return true;
  return false;
}
