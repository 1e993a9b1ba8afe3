import { baseName, components, parentPath } from '../../transfer/remote-path.ts';
import { STATE_DIRECTORY } from '../own-names.ts';

/**
 * Where versions lie, below `.sealift/versions`: for a file `a/b/name` at `a/b/.sealift/name/ID`. No file can bear the
 * name `.sealift`, so that nothing collides. A directory that was removed with all in it is kept as it was, at such a
 * place of its own: then `a/b/name` lies at `a/.sealift/b/ID/name`, or at `.sealift/a/ID/b/name`. Names are as they are
 * in the tree, and are gone down one by one: the whole may be longer than the system takes a path.
 */

/** The components of the directory in which the versions of `path` lie, by their ids. */
export function versionDirectory(path: string): string[] {
  return [...components(parentPath(path)), STATE_DIRECTORY, baseName(path)];
}
