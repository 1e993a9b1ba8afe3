import type { Entry } from '../storage/store.ts';

/** Characters of paths and etags remembered of each kind: of paths of usual length about 20,000, however long they are no more than a few contents. */
const MAX_CHARACTERS = 4_194_304;
/** What one costs besides, counted as characters. */
const ENTRY_CHARACTERS = 100;

/** What was made, as it was then. */
export interface Made {
  path: string;
  etag: string;
  /** Default: a file. */
  type?: Entry['type'];
}

/**
 * What was made on one connection. Of very much the oldest is forgotten, but no directory for a file or a link: these
 * get their attributes at once, a directory when everything is in it.
 */
export class MadeEntries {
  readonly #directories = new LatestEtags();
  readonly #others = new LatestEtags();

  add({ path, etag, type = 'file' }: Made): void {
    const [kind, other] =
      type === 'directory' ? [this.#directories, this.#others] : [this.#others, this.#directories];
    other.delete(path);
    kind.set(path, etag);
  }

  has(path: string): boolean {
    return this.etagOf(path) !== undefined;
  }

  /** The etag that it bore when it was made. */
  etagOf(path: string): string | undefined {
    return this.#directories.get(path) ?? this.#others.get(path);
  }
}

/** Etags by path, those that were set last. */
class LatestEtags {
  readonly #etags = new Map<string, string>();
  #characters = 0;

  get(path: string): string | undefined {
    return this.#etags.get(path);
  }

  set(path: string, etag: string): void {
    this.delete(path);
    this.#etags.set(path, etag);
    this.#characters += charactersOf(path, etag);
    for (const oldest of this.#etags.keys()) {
      if (this.#characters <= MAX_CHARACTERS) break;
      this.delete(oldest);
    }
  }

  delete(path: string): void {
    const etag = this.#etags.get(path);
    if (etag === undefined) return;
    this.#etags.delete(path);
    this.#characters -= charactersOf(path, etag);
  }
}

function charactersOf(path: string, etag: string): number {
  return path.length + etag.length + ENTRY_CHARACTERS;
}
