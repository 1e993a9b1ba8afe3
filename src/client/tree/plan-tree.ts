import { isSealiftError, SealiftError } from '../../errors.ts';
import { parentPath } from '../../transfer/remote-path.ts';
import { isChange, refusal, unknownEntry, type Action } from './action.ts';
import { Ahead, type Batches } from './concurrency.ts';
import { decisions, type Rules } from './decide.ts';
import type { TreeDirection } from './direction.ts';
import { checkSource, deletions, deletionsProblem, detectRenames, type MaxDelete } from './plan.ts';
import { NameClashes, nearest, type TreeEntry } from './tree-entry.ts';
import type { TreeFilter } from './tree-filter.ts';

export interface PlanOptions {
  rules: Rules;
  filter: TreeFilter;
  /** Told how much is to be sent, as far as it is known; the last time with `isExact`. */
  onCount?: ((totals: Totals) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** What a transfer is about to send. */
export interface Totals {
  files: number;
  bytes: number;
  /** Nothing more will be found. */
  isExact: boolean;
}

export interface SyncOptions extends PlanOptions {
  /** Also remove what is left out by the filter. */
  deleteExcluded: boolean;
  maxDelete?: MaxDelete | undefined;
  /** Takes what would be thrown for too many deletions: of a plan that is only looked at, they are what is to be seen. */
  onTooManyDeletions?: ((error: SealiftError) => void) | undefined;
  /** Move at the target what the source has under another name, instead of sending it again. */
  detectRenames: boolean;
  allowEmptySource: boolean;
}

/**
 * The steps to bring what a source has to a target, while the source is still being looked at. What stands at the
 * target is looked at before; who may not list it sends everything.
 */
export async function* planCopy(
  direction: TreeDirection,
  options: PlanOptions,
): AsyncGenerator<readonly Action[]> {
  const source = new Source(direction, options);
  try {
    const target = await direction
      .scanTarget(source.onTargetProblem, source.onTargetSpecial)
      .catch((error: unknown) => {
        if (isSealiftError(error, 'forbidden')) return new Map<string, TreeEntry>();
        throw error;
      });
    yield* new Ahead(counted(source.actions(target), options));
  } finally {
    await source.stop();
  }
}

/**
 * All steps that make a target like its source, decided before the first is taken. Throws `empty-source` or
 * `too-many-deletions` where a safety rail is in the way.
 */
export async function planSync(direction: TreeDirection, options: SyncOptions): Promise<Action[]> {
  const source = new Source(direction, options);
  try {
    const target = await direction.scanTarget(source.onTargetProblem, source.onTargetSpecial);
    return await syncActions(direction, source, target, options);
  } finally {
    await source.stop();
  }
}

async function syncActions(
  direction: TreeDirection,
  source: Source,
  target: Map<string, TreeEntry>,
  options: SyncOptions,
): Promise<Action[]> {
  const { rules, filter, maxDelete, onCount } = options;
  const targetEntries = [...target.keys()].filter((path) => path !== '').length;
  const grain = await direction.timeGrain(target);
  const found = await sourceActions(source, target, targetEntries, options);
  // Whether there is something to be removed, nobody knows.
  if (rules.delete)
    for (const [path, error] of source.unseenAtTarget)
      if (options.deleteExcluded || !filter.protects(path, true)) found.push(refusal(path, error));
  const refused = found.filter((action) => action.kind === 'refuse');
  const isRefused = refused.length > 0;
  // What the source has below, nobody knows.
  const unseenAtSource = new Map(refused.map(({ entry, error }) => [entry.path, error]));
  // What the source cannot have there, as the backup of earlier runs, is not its to remove; nor what it has in another
  // spelling, which the target takes for the same: it would be what was just sent.
  const protects: TreeFilter['protects'] = (path, isDirectory) =>
    direction.nameProblem(path) !== undefined ||
    source.hasAs(path) ||
    nearest(path, source.reserved) === true ||
    (!options.deleteExcluded && filter.protects(path, isDirectory));
  for (const path of source.directoriesOfFiles()) target.delete(path);
  const actions =
    rules.delete && options.detectRenames
      ? await detectRenames(found, target, direction, {
          mayMove: ({ path }) =>
            !protects(path, false) &&
            !source.leftOut.has(path) &&
            nearest(path, unseenAtSource) === undefined,
          grain,
        })
      : found;
  // Nothing is removed after a failure, and where something is refused one is certain already.
  const removals = rules.delete && !isRefused ? deletions(target, { protects, leftOut: source.leftOut }) : [];
  const tooMany = maxDelete === undefined ? undefined : deletionsProblem(removals, targetEntries, maxDelete);
  if (tooMany !== undefined) {
    if (options.onTooManyDeletions === undefined) throw tooMany;
    options.onTooManyDeletions(tooMany);
  }
  const all = isRefused ? actions.filter((action) => !isLate(action)) : [...actions, ...removals];
  onCount?.({ ...totalsOf(all), isExact: true });
  return all;
}

async function sourceActions(
  source: Source,
  target: Map<string, TreeEntry>,
  targetEntries: number,
  options: SyncOptions,
): Promise<Action[]> {
  let found: Action[];
  try {
    found = (await Array.fromAsync(counted(source.actions(target), options))).flat();
  } catch (error) {
    if (!isSealiftError(error, 'local-not-found', 'not-found') || source.count > 0) throw error;
    // That one that is there may be empty says nothing of one that is not: a disk may be missing.
    checkSource(0, targetEntries, `The source ${source.name} does not exist`);
    throw error;
  }
  if (!options.allowEmptySource)
    checkSource(source.count + source.leftOut.size, targetEntries, `The source ${source.name} is empty`);
  return found;
}

function isLate(action: Action): boolean {
  return (action.kind === 'file' || action.kind === 'link') && action.late;
}

/** The source as it is looked at, and what is noticed on the way. */
class Source {
  /** As a person names it. */
  readonly name: string;
  /** Entries besides the top, and a top that is a file. */
  count = 0;
  /** Files that their size or time keeps out, and what has no content: there all the same, and so no reason to remove anything. */
  readonly leftOut = new Set<string>();
  /** What is not sent for its name, with all that is in it. */
  readonly reserved = new Map<string, true>();
  /** What at the target cannot be looked at, and why. */
  readonly unseenAtTarget = new Map<string, SealiftError>();
  /** What at the target has no content, and is not replaced. */
  readonly #special = new Map<string, true>();
  readonly #direction: TreeDirection;
  readonly #options: PlanOptions;
  /** What was noticed while looking, and is told before what was looked at next. */
  readonly #noticed: Action[] = [];
  readonly #missing: Set<string>;
  /** Of a target that takes different spellings for one name. */
  #names: NameClashes | undefined;
  readonly #parents = new Set<string>();
  /** Directories that are not taken by themselves, and lead to what may be; those of them that do are needed. */
  readonly #ways = new Map<string, TreeEntry>();
  readonly #needed = new Set<string>();
  /** Looked at while the target is, too. */
  readonly #found: Ahead<TreeEntry>;

  constructor(direction: TreeDirection, options: PlanOptions) {
    this.name = direction.sourceName;
    this.#direction = direction;
    this.#options = options;
    const { filter } = options;
    // The top is there, or nothing is; and what is left out by a pattern is not looked for.
    const isLookedFor = (path: string) =>
      path !== '' && !filter.protects(path, false) && !filter.protects(path, true);
    this.#missing = new Set([...(filter.named ?? [])].filter(isLookedFor));
    this.#found = new Ahead(this.#entries());
  }

  readonly onTargetProblem = (error: SealiftError, path: string): void => {
    this.unseenAtTarget.set(path, error);
  };

  readonly onTargetSpecial = (path: string): void => void this.#special.set(path, true);

  /** Looks no further. */
  stop(): Promise<void> {
    return this.#found.stop();
  }

  async *actions(target: Map<string, TreeEntry>): AsyncGenerator<Action[]> {
    // Such a directory is made as the source has it, for it may be private; what stands is left as it is.
    const isMeant = (action: Action) =>
      !this.#needed.has(action.entry.path) || (action.kind === 'directory' && action.existing === undefined);
    const { rules } = this.#options;
    const orUnseen = (action: Action): Action => {
      // What stands there may be newer, or be meant to be kept. The unreadable directory itself is seen.
      const isSeen = action.kind === 'directory' && action.existing !== undefined;
      const { entry } = action;
      const { path } = entry;
      if (isChange(action) && nearest(path, this.#special) === true)
        return rules.ifExists === 'skip'
          ? { kind: 'skip', entry, reason: 'exists' }
          : refusal(path, IN_THE_WAY);
      const unseen = isSeen ? undefined : nearest(path, this.unseenAtTarget);
      return unseen === undefined ? action : refusal(path, unseen);
    };
    for await (const actions of decisions(this.#found, target, this.#options.rules, this.#direction))
      yield [...this.#noticed.splice(0), ...actions.filter(isMeant).map(orUnseen)];
    for (const path of this.#missing) {
      const message = `${JSON.stringify(path)} is asked for by name and does not exist.`;
      this.#refuse(new SealiftError('local-not-found', message), path);
    }
    yield this.#noticed.splice(0);
  }

  /** The directories that something of the source is in. */
  directoriesOfFiles(): Iterable<string> {
    return this.#parents;
  }

  async *#entries(): AsyncGenerator<TreeEntry[]> {
    const { filter, signal, rules } = this.#options;
    const folding = await this.#direction.nameFolding();
    if (folding.case || folding.forms || folding.ends) this.#names = new NameClashes(folding);
    const scan = this.#direction.scanSource({
      filter,
      signal,
      onProblem: (error, path) => {
        this.#refuse(error, path);
        this.#noteFound(path);
      },
      // Without bits that are kept, they are made when something goes into them.
      onWay: rules.archive ? (directory) => this.#ways.set(directory.path, directory) : undefined,
      onLeftOut: (path) => {
        this.leftOut.add(path);
        this.#noteFound(path);
      },
      onSpecial: (path) => {
        this.#noticed.push({ kind: 'skip', entry: unknownEntry(path), reason: 'special' });
        this.leftOut.add(path);
        this.#noteFound(path);
      },
      onReserved: (path) => {
        this.#noticed.push({ kind: 'skip', entry: unknownEntry(path), reason: 'reserved' });
        this.reserved.set(path, true);
        this.#noteFound(path);
      },
    });
    for await (const batch of scan) {
      const entries: TreeEntry[] = [];
      for (const entry of batch) {
        if (entry.path !== '' || entry.type !== 'directory') this.count += 1;
        this.#noteParents(entry.path);
        this.#noteFound(entry.path);
        const error = this.#nameProblem(entry.path);
        if (error === undefined) entries.push(...this.#wayTo(entry.path), entry);
        else this.#refuse(error, entry.path);
      }
      yield entries;
    }
  }

  /** The directories above `path` that come only because of it, and have not come yet. */
  *#wayTo(path: string): Generator<TreeEntry> {
    if (this.#ways.size === 0 || path === '') return;
    const parent = parentPath(path);
    yield* this.#wayTo(parent);
    const directory = this.#ways.get(parent);
    if (directory === undefined) return;
    this.#ways.delete(parent);
    // Where its name cannot be, each entry in it is told.
    if (this.#nameProblem(parent) !== undefined) return;
    this.#needed.add(parent);
    yield directory;
  }

  /** Whether something of the source, as far as it was looked at, stands under this name at the target, however it is spelt. */
  hasAs(path: string): boolean {
    return this.#names?.has(path) === true;
  }

  #noteParents(path: string): void {
    for (let below = path; below !== '' && !this.#parents.has(parentPath(below)); below = parentPath(below))
      this.#parents.add(parentPath(below));
  }

  #noteFound(path: string): void {
    if (this.#missing.size === 0) return;
    // A directory that is named is also found by what is in it.
    for (let found = path; found !== ''; found = parentPath(found)) this.#missing.delete(found);
  }

  #nameProblem(path: string): SealiftError | undefined {
    const problem = this.#direction.nameProblem(path);
    if (problem !== undefined || path === '') return problem;
    try {
      this.#names?.add(path);
      return undefined;
    } catch (error) {
      if (isSealiftError(error)) return error;
      throw error;
    }
  }

  #refuse(error: SealiftError, path: string): void {
    this.#noticed.push(refusal(path, error));
  }
}

const IN_THE_WAY = new SealiftError(
  'local-exists',
  'What stands there is no file, directory or link, and is not replaced.',
  { hint: 'Remove it, or leave the name out with --exclude.' },
);

async function* counted(
  batches: Batches<Action>,
  { onCount }: PlanOptions,
): AsyncGenerator<readonly Action[]> {
  const totals = { files: 0, bytes: 0 };
  for await (const actions of batches) {
    const { files, bytes } = totalsOf(actions);
    totals.files += files;
    totals.bytes += bytes;
    if (files > 0) onCount?.({ ...totals, isExact: false });
    yield actions;
  }
  onCount?.({ ...totals, isExact: true });
}

function totalsOf(actions: readonly Action[]): { files: number; bytes: number } {
  const totals = { files: 0, bytes: 0 };
  for (const { kind, entry } of actions) {
    if (kind !== 'file') continue;
    totals.files += 1;
    totals.bytes += entry.size;
  }
  return totals;
}
