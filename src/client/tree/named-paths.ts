import { SealiftError } from '../../errors.ts';
import { parentPath } from '../../transfer/remote-path.ts';

/** Paths of a tree that were asked for by name, each with everything below it. */
export class NamedPaths {
  /** In plain form; `""` is the top. */
  readonly paths: ReadonlySet<string>;
  readonly #parents = new Set<string>();

  /** Throws `usage` for what is no path inside a tree. */
  constructor(names: readonly string[]) {
    this.paths = new Set(names.map(namedPath));
    for (const path of this.paths) {
      for (let above = parentPath(path); above !== ''; above = parentPath(above)) this.#parents.add(above);
    }
  }

  /** Whether `path` was named, or a directory above it. */
  holds(path: string): boolean {
    for (let at = path; at !== ''; at = parentPath(at)) if (this.paths.has(at)) return true;
    return this.paths.has('');
  }

  /** Whether anything below this directory is held. */
  leadsTo(directory: string): boolean {
    return this.#parents.has(directory) || this.holds(directory);
  }
}

/** The plain form of `./a/b/`: `a/b`. Throws `usage` for an empty name, an absolute one, and one with `..`. */
export function namedPath(name: string): string {
  const components = name.split('/').filter((component) => component !== '' && component !== '.');
  if (name !== '' && !name.startsWith('/') && !components.includes('..')) return components.join('/');
  throw new SealiftError('usage', `${JSON.stringify(name)} is no path inside the tree.`, {
    hint: 'Write it relative to the top of the tree, without "..".',
  });
}
