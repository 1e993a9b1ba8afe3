import { SealiftError } from '../errors.ts';
import type { Store } from '../storage/store.ts';
import { checkPath, isWithin } from '../transfer/remote-path.ts';

/**
 * Paths remembered before they are synced unasked, while more are published: so a client that never says `sync` does
 * not fill the memory, and one that does at the end of a large tree finds nearly all of it on disk.
 */
const MAX_REMEMBERED = 4_096;
/** Places to which something on its way may have been moved, before nothing is promised of it any more. */
const MAX_PLACES = 64;

/** What stands under `from` comes to stand under `to`. */
interface Move {
  from: string;
  to: string;
}

/** What is on its way to `path`. */
interface Publishing {
  path: string;
  /** Where it comes to stand, or has come: there, or where what it comes into was moved meanwhile. */
  places: ReadonlySet<string>;
  isLost: boolean;
  ended: Promise<void>;
}

/** The moves that were begun so far; a removal counts as one. */
interface Moves {
  count(): number;
  /** Resolves when they have ended. */
  settled(): Promise<void>;
}

/**
 * What all connections to a store published with durability `memory`. Their syncs and moves go in the order in which they were
 * begun: what one connection published, another may move away while it is synced under the name that it had. So do moves that
 * meet: else something could stand under any of the names that they give.
 */
export class UnsyncedByAll {
  readonly #store: Store;
  readonly #connections = new Set<Unsynced>();
  readonly #underWay = new Set<Move & { ended: Promise<void> }>();
  #moveCount = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** For a new connection, which leaves it in the end. */
  enter(): Unsynced {
    const unsynced = new Unsynced(this.#store, {
      count: () => this.#moveCount,
      settled: () => allEnded(this.#underWay),
    });
    this.#connections.add(unsynced);
    return unsynced;
  }

  /** What the connection published stays void unless it was synced. */
  leave(unsynced: Unsynced): void {
    this.#connections.delete(unsynced);
  }

  /** Runs `move`, by which what stands under `from` comes to stand under `to`, also for the next sync of whoever published it. */
  async moving<T>(from: string, to: string, move: () => Promise<T>): Promise<T> {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const own = { from, to, ended };
    const syncs = [...this.#connections].map((unsynced) => unsynced.settled());
    const before = allEnded([...this.#underWay].filter((other) => doMeet(own, other)));
    this.#underWay.add(own);
    try {
      await Promise.all([...syncs, before]);
      const number = (this.#moveCount += 1);
      const result = await move();
      for (const unsynced of this.#connections) unsynced.moved(own, number);
      return result;
    } finally {
      this.#underWay.delete(own);
      end();
    }
  }

  /** Runs `remove`, by which what stands at `path` goes, with `recursive` also what stands below it: nobody has to sync that any more. */
  async removing(
    path: string,
    { recursive }: { recursive: boolean },
    remove: () => Promise<void>,
  ): Promise<void> {
    const number = (this.#moveCount += 1);
    await remove();
    // What a move takes from there meanwhile is remembered still by the name that it had.
    if ([...this.#underWay].some((move) => doMeet(move, { from: path, to: path }))) return;
    for (const unsynced of this.#connections) unsynced.removed(path, { recursive, number });
  }
}

/** What one connection published with durability `memory`, until it is on disk. */
export class Unsynced {
  readonly #store: Store;
  readonly #moves: Moves;
  /** By path: how many moves were begun before. */
  readonly #paths = new Map<string, number>();
  readonly #publishing = new Set<Publishing>();
  #syncing: Promise<void> = Promise.resolve();
  #failure: { error: unknown } | undefined;

  constructor(store: Store, moves: Moves) {
    this.#store = store;
    this.#moves = moves;
  }

  /** Runs `publish`, by which something comes to stand under `path`, and remembers that. A sync that is asked for meanwhile waits for it. */
  async publishing<T>(path: string, publish: () => Promise<T>): Promise<T> {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const own: Publishing = { path, places: new Set([path]), isLost: false, ended };
    this.#publishing.add(own);
    try {
      const result = await publish();
      // Nearly always it is where it was put, and remembered below.
      if (own.places.size > 1) for (const place of own.places) this.#rememberMoved(place);
      if (own.isLost) this.#failure ??= { error: movedTooOften(path) };
      await this.add(path);
      return result;
    } finally {
      this.#publishing.delete(own);
      end();
    }
  }

  /** Remembers `path`. Where so much is waiting that the disk has to be waited for, the promise resolves when there is room again. */
  add(path: string): Promise<void> | undefined {
    this.#remember(path);
    return this.#paths.size < MAX_REMEMBERED ? undefined : this.#syncing.then(() => this.#begin());
  }

  /** Resolves when the syncs that were begun so far have ended. */
  settled(): Promise<void> {
    return this.#syncing;
  }

  /** What stood under `from` has to be synced where it stands now. The move was the one of that `number`. */
  moved(move: Move, number: number): void {
    for (const [path, movesBefore] of [...this.#paths]) {
      if (!isWithin(path, move.from)) continue;
      // What was published under the old name while the move was under way stands there, if it came after the move.
      if (movesBefore < number) this.#paths.delete(path);
      this.#rememberMoved(placeAfter(move, path));
    }
    // What has found its directory already goes where that was moved; what has not, comes to its own path still.
    for (const own of this.#publishing) {
      own.places = new Set([own.path, ...[...own.places].map((place) => placeAfter(move, place))]);
      if (own.places.size <= MAX_PLACES) continue;
      own.places = new Set([own.path]);
      own.isLost = true;
    }
  }

  /** Forgets what stood at `path`, or below it, before the removal of that `number`. */
  removed(path: string, { recursive, number }: { recursive: boolean; number: number }): void {
    const within = recursive ? [...this.#paths.keys()].filter((each) => isWithin(each, path)) : [path];
    for (const each of within) if ((this.#paths.get(each) ?? number) < number) this.#paths.delete(each);
  }

  /**
   * Resolves once everything remembered, and what is being published now, is on disk. Throws the first failure since
   * the last call: what was remembered until then is void, and forgotten, since a sync that is said again after a
   * failure would lie.
   */
  async sync(): Promise<void> {
    await allEnded(this.#publishing);
    this.#begin();
    await this.#syncing;
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
  }

  #remember(path: string): void {
    this.#paths.set(path, this.#moves.count());
  }

  #rememberMoved(path: string): void {
    try {
      checkPath(path, { allowRoot: false });
      this.#remember(path);
    } catch (error) {
      // It was moved to where no path leads, so that nothing can be promised of it.
      this.#failure ??= { error };
    }
  }

  #begin(): void {
    const moves = this.#moves.settled();
    this.#syncing = this.#syncing
      .then(() => moves)
      .then(() => {
        const paths = [...this.#paths.keys()];
        this.#paths.clear();
        return this.#store.sync(paths);
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
      });
  }
}

async function allEnded(works: Iterable<{ ended: Promise<void> }>): Promise<void> {
  await Promise.all([...works].map(({ ended }) => ended));
}

function movedTooOften(path: string): SealiftError {
  const message = `${JSON.stringify(path)} was moved too often while it was put, and has to be put again.`;
  return new SealiftError('internal', message, { retryable: false });
}

/** Where what stood at `path` stands after a move. */
function placeAfter({ from, to }: Move, path: string): string {
  return isWithin(path, from) ? `${to}${path.slice(from.length)}` : path;
}

/** Whether one moves something from, or to, where the other does. */
function doMeet(one: Move, other: Move): boolean {
  const theirs = [other.from, other.to];
  return [one.from, one.to].some((own) =>
    theirs.some((their) => isWithin(own, their) || isWithin(their, own)),
  );
}
