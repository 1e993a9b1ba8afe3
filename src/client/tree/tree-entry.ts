import { SealiftError } from '../../errors.ts';
import { baseName, parentPath } from '../../transfer/remote-path.ts';

/** What stands somewhere in a tree, on either side. */
export interface TreeEntry {
  /** Relative to the top, components joined by `/`; `""` is the top itself. */
  path: string;
  type: 'file' | 'directory' | 'symlink';
  /** Bytes of a file or of a link's target; 0 for a directory. */
  size: number;
  /** Milliseconds since 1970. */
  mtimeMs: number;
  /** Permission bits, at most 0o777. */
  mode: number;
  /** The target of a link, as text; missing where it is no UTF-8. */
  target?: string | undefined;
  /** On a server: differs whenever the content may differ. */
  etag?: string | undefined;
}

/** Why a link cannot be made at the other side; undefined for one that can be, and for everything else. */
export function linkProblem({ path, type, target }: TreeEntry): SealiftError | undefined {
  if (type !== 'symlink' || target !== undefined) return undefined;
  return new SealiftError(
    'bad-name',
    `The target of the link ${JSON.stringify(path)} is not UTF-8, and cannot be sent.`,
  );
}

/** Names of what a transfer under way keeps beside its target: never part of a tree. */
const TEMPORARY_NAME = /^\.sealift-[0-9a-f]{16}\.(part|lock)$/;

/** Whether `path` names something that this program made for its own use while it transfers. */
export function isTemporary(path: string): boolean {
  return TEMPORARY_NAME.test(baseName(path));
}

/**
 * The name of the lock that a run which writes a tree holds, at the top of that. `id`: eight hex digits, with which the
 * names of all its temporaries begin.
 */
export function treeLockName(id: string): string {
  return `.sealift-${id}${'0'.repeat(8)}.lock`;
}

/** The same for the tree that a partial file belongs to, if it was left by, or is of, such a run. */
export function treeLockNameOf(partialName: string): string {
  return treeLockName(partialName.slice('.sealift-'.length, '.sealift-'.length + 8));
}

/** What `at` has for the path itself, or else for the nearest directory above it. */
export function nearest<T>(path: string, at: ReadonlyMap<string, T>): T | undefined {
  if (at.size === 0) return undefined;
  let above = path;
  while (above !== '' && !at.has(above)) above = parentPath(above);
  return at.get(above);
}

/** In what names may differ that a file system takes for the same. */
export interface NameFolding {
  /** The case of letters. */
  case: boolean;
  /** Whether an accent is written with its letter or behind it (Unicode normalization forms). */
  forms: boolean;
  /** Dots and spaces at the end of a name: FAT, exFAT and SMB may leave them out of the names that they keep. */
  ends: boolean;
}

/** Finds names that a file system could not hold beside each other. */
export class NameClashes {
  readonly #folding: NameFolding;
  readonly #paths = new Map<string, string>();

  constructor(folding: NameFolding) {
    this.#folding = folding;
  }

  /** Throws `bad-name` if another path that was added before would be the same name there, or if that is so for a directory above. */
  add(path: string): void {
    const parent = parentPath(path);
    if (parent !== '') this.add(parent);
    const other = this.#paths.get(this.#folded(path));
    if (other === undefined) this.#paths.set(this.#folded(path), path);
    else if (other !== path) throw clash(path, other);
  }

  /** Whether what was added has this name there, or leads to what has. */
  has(path: string): boolean {
    return this.#paths.has(this.#folded(path));
  }

  #folded(path: string): string {
    const formed = this.#folding.forms ? path.normalize('NFC') : path;
    const cased = this.#folding.case ? formed.toLowerCase() : formed;
    return this.#folding.ends ? cased.replace(/[. ]+(?=\/|$)/g, '') : cased;
  }
}

function clash(path: string, other: string): SealiftError {
  const [characters, others] = [[...path], [...other]];
  const found = characters.findIndex((character, index) => character !== others[index]);
  // Where one is the beginning of the other, by what that has more.
  const position = found === -1 ? characters.length : found;
  const character = JSON.stringify(characters[position] ?? others[position]);
  return new SealiftError(
    'bad-name',
    `${JSON.stringify(path)} and ${JSON.stringify(other)} are the same name for the target, which cannot hold both (${character} at position ${position}).`,
  );
}
