import { nodeOf } from '../same-node.ts';
import type { Entry } from '../store.ts';
import { replacing, type Publisher } from './publish.ts';
import { renameEntry } from './read-only-directories.ts';
import type { Place } from './tree.ts';

/**
 * Renames `moved`, which stands at `from`, to `target`, where `existing` stands: that may be another name of it, of which one
 * remains. Where it is the same name in other letters, the system may leave it as it was written, and so does this: it can
 * only be written anew once it is gone, and a crash just then would leave the file under no name.
 */
export async function renamePlace(
  publisher: Pick<Publisher, 'files' | 'versions'>,
  from: Place,
  target: Place,
  { moved, existing }: { moved: Entry; existing: Entry | undefined },
): Promise<void> {
  const { files } = publisher;
  const rename = () => renameEntry(files, from.systemPath, target.systemPath);
  if (existing === undefined || nodeOf(existing.etag) !== nodeOf(moved.etag))
    return replacing(publisher, target, existing, rename);
  // Nothing is replaced. Of two names of one file the system leaves both, and says that all is well.
  await rename();
  if (moved.type !== 'directory' && (await areTwoNames(publisher, from, target)))
    await files.unlink(from.systemPath);
}

/** Whether two places in which one file is found are two names of it: where case does not count both may be one, and only a listing that shows both proves that they are not. */
async function areTwoNames(
  { files }: Pick<Publisher, 'files'>,
  from: Place,
  target: Place,
): Promise<boolean> {
  if ((await from.directory.node()) !== (await target.directory.node())) return true;
  if (from.name === target.name) return false;
  const missing = new Set([from.name, target.name]);
  for await (const name of files.names(from.directory.self)) {
    missing.delete(name);
    if (missing.size === 0) return true;
  }
  return false;
}
