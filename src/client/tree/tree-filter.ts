import { isWithin } from '../../transfer/remote-path.ts';
import { GitignoreRules, patternRoot } from './gitignore-rules.ts';
import { NamedPaths } from './named-paths.ts';

/** The attributes by which a filter judges. `path` is relative to the top of the tree, components joined by `/`. */
export interface FilteredEntry {
  path: string;
  type: 'file' | 'directory' | 'symlink';
  /** Bytes. */
  size: number;
  /** Milliseconds since 1970. */
  mtimeMs: number;
}

/** Which entries belong to a tree. The top itself, `""`, always does, whatever patterns and lists say. */
export interface TreeFilter {
  /**
   * Whether the entry is part of the tree. A directory: whether it is taken by itself, with its attributes and also
   * empty; one that is not is made only for what is taken below it, and left as it is where it stands.
   */
  takes(entry: FilteredEntry): boolean;
  /** Whether anything below this directory could be taken: if not, it need not be read. */
  entersDirectory(path: string): boolean;
  /**
   * Whether a path at the target that the source lacks is left out by pattern or list, and so must not be deleted.
   * A directory that is not protected may hold what is.
   */
  protects(path: string, isDirectory: boolean): boolean;
  /** Paths that were asked for by name; undefined unless there was such a list. The caller reports those that are missing. */
  readonly named?: ReadonlySet<string> | undefined;
}

/** By what a filter judges. What is left out sets no bounds. */
export interface FilterOptions {
  /**
   * Patterns in the syntax of gitignore. What one matches is taken although it is excluded, wherever it stands, and a
   * directory with everything below it. Without any exclude, nothing else is taken.
   */
  include?: readonly string[] | undefined;
  /** Patterns in the syntax of gitignore; the last that matches decides. */
  exclude?: readonly string[] | undefined;
  /** Nothing but these paths and what is below them; excludes hold among them too. */
  files?: readonly string[] | undefined;
  /** The largest file that is taken; directories and links have no size here. */
  maxSizeBytes?: number | undefined;
  /** The smallest. */
  minSizeBytes?: number | undefined;
  /** Files that were last changed before this are left out; milliseconds since 1970. */
  newerThanMs?: number | undefined;
}

/** Throws `usage` for a pattern that cannot be one, and for a file outside the tree. */
export function treeFilter(options: FilterOptions): TreeFilter {
  const { include = [], exclude = [], files } = options;
  const included = new GitignoreRules(include);
  const excluded = new GitignoreRules(exclude);
  const takesTheRest = exclude.length > 0 || include.length === 0;
  const roots = include.filter((pattern) => !pattern.startsWith('!')).map(patternRoot);
  const list = files === undefined ? undefined : new NamedPaths(files);

  const isExcluded = (path: string, isDirectory: boolean) =>
    !takesTheRest || excluded.matches(path, isDirectory);
  const protects = (path: string, isDirectory: boolean) => {
    if (path === '') return false;
    if (list?.holds(path) === false) return true;
    return isExcluded(path, isDirectory) && !included.matches(path, isDirectory);
  };
  const leadsToIncluded = (path: string) =>
    roots.some((root) => isWithin(root, path) || isWithin(path, root));

  return {
    takes: (entry) => !protects(entry.path, entry.type === 'directory') && isWithinLimits(entry, options),
    entersDirectory(path) {
      if (path === '') return true;
      if (list?.leadsTo(path) === false) return false;
      return !isExcluded(path, true) || leadsToIncluded(path);
    },
    protects,
    named: list?.paths,
  };
}

/** Takes all there is. */
export const EVERYTHING: TreeFilter = treeFilter({});

function isWithinLimits({ type, size, mtimeMs }: FilteredEntry, limits: FilterOptions): boolean {
  if (type !== 'file') return true;
  const { maxSizeBytes = Infinity, minSizeBytes = 0, newerThanMs = -Infinity } = limits;
  return size <= maxSizeBytes && size >= minSizeBytes && mtimeMs >= newerThanMs;
}
