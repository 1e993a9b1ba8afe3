/** What stands where nothing stands. */
export const NOTHING = 'nothing';

/** A change of what stands under a path, from when it was asked for to when it was acknowledged. */
interface Change {
  content: string;
  began: number;
  /** Infinity as long as it was not: then it may happen at any time, or never. */
  ended: number;
  /** Whether somebody still tries; else only the server may still be at it. */
  isTried: boolean;
}

/** How a change ended, for whoever asked for it. One of them is called, once. */
export interface ChangeEnd {
  acknowledged(): void;
  /** Nobody knows whether it was done, and nobody tries it any more. */
  lost(): void;
  /** The server said that it was not done. */
  refused(): void;
}

/**
 * Who was told what: every change that clients asked a store for, and which of them were acknowledged, so that what
 * the store holds can be held against it. Contents are told by name, as by their digest. Any number of clients
 * may change and read one path at once: each is to see it change in single steps, in an order that all of them
 * could have seen (linearizability).
 */
export class Acknowledgements {
  /** Grows with everything that happens. */
  #order = 0;
  readonly #changes = new Map<string, Change[]>();
  /** By path: all that was acknowledged to stand there. */
  readonly #stood = new Map<string, Set<string>>();
  /** How many changes were acknowledged. */
  count = 0;

  /** Somebody asks for `content` to stand under `path`. */
  begin(path: string, content: string): ChangeEnd {
    const change: Change = { content, began: this.now(), ended: Infinity, isTried: true };
    this.#of(path).push(change);
    return {
      acknowledged: () => {
        change.ended = this.now();
        this.count += 1;
        this.#note(path, content);
      },
      lost: () => {
        change.isTried = false;
      },
      refused: () => {
        this.#changes.set(
          path,
          this.#of(path).filter((each) => each !== change),
        );
      },
    };
  }

  /** This moment, as `allowed` takes it. */
  now(): number {
    return (this.#order += 1);
  }

  /**
   * What may be found under `path` by a reader who began to look at `since`, and has just ended: whatever was asked
   * for, but for what was certainly replaced before.
   */
  allowed(path: string, since: number): string[] {
    const changes = this.#of(path);
    const isReplaced = ({ ended }: Change) =>
      changes.some((other) => other.began > ended && other.ended < since);
    return changes.filter((change) => !isReplaced(change)).map(({ content }) => content);
  }

  /** Every path that a change was asked for. */
  paths(): string[] {
    return [...this.#changes.keys()];
  }

  /** Every content that was ever acknowledged to stand under `path`. */
  stood(path: string): ReadonlySet<string> {
    return this.#stood.get(path) ?? new Set();
  }

  /** The server is dead and `content` stands under `path`: from now on only that and what is still tried counts. */
  settle(path: string, content: string): void {
    const moment = this.now();
    const found = { content, began: moment, ended: moment, isTried: false };
    this.#changes.set(path, [
      found,
      ...this.#of(path).filter(({ isTried, ended }) => isTried && ended === Infinity),
    ]);
    this.#note(path, content);
  }

  #of(path: string): Change[] {
    let changes = this.#changes.get(path);
    if (changes === undefined) {
      changes = [{ content: NOTHING, began: 0, ended: 0, isTried: false }];
      this.#changes.set(path, changes);
    }
    return changes;
  }

  #note(path: string, content: string): void {
    if (content === NOTHING) return;
    this.#stood.set(path, (this.#stood.get(path) ?? new Set()).add(content));
  }
}
