import { isSealiftError, SealiftError } from '../../errors.ts';
import type { Action } from './action.ts';
import { each, mapConcurrently, type Batches } from './concurrency.ts';
import { hasSameTime } from './time-grain.ts';
import { linkProblem, nearest, type TreeEntry } from './tree-entry.ts';

/** By what a target is made like its source. */
export interface Rules {
  /** Permission bits, links, and the times of directories are kept too. */
  archive: boolean;
  /** What counts as the same file: equal size and time (as the target can keep it), equal digest, or nothing (all is sent). */
  compare: 'time' | 'digest' | 'never';
  /** Leave files alone that are newer at the target. */
  update: boolean;
  /** What becomes of files that stand at the target and differ. */
  ifExists: 'overwrite' | 'skip' | 'fail' | 'rename';
  /** Remove what the source lacks, also a directory that is in the way of a file. */
  delete: boolean;
}

/** What deciding needs to know of the two sides. */
export interface Sides {
  /** How many files may be compared by their digests at once, just now. */
  readonly comparedAtOnce: number;
  /** The permission bits that the target would show for an entry of that mode. */
  keptMode(entry: TreeEntry): number;
  /** To how many milliseconds the target keeps times, dropping what is less; `entries` are what stands there. */
  timeGrain(entries: ReadonlyMap<string, TreeEntry>): Promise<number>;
  /** Whether a file of the source has the same content as one of the target of the same size, by digest. */
  hasSameContent(entry: TreeEntry, existing: TreeEntry): Promise<boolean>;
  /** The file digest of a file of the source, and of one of the target: of the same algorithm, while no other server is met. */
  sourceDigest(entry: TreeEntry): Promise<string>;
  targetDigest(entry: TreeEntry): Promise<string>;
}

/**
 * What is to be done with each entry of the source, in its order. Takes out of `target` what the source has; what
 * is left in the end is what the source lacks.
 */
export async function* decisions(
  source: Batches<TreeEntry>,
  target: Map<string, TreeEntry>,
  rules: Rules,
  sides: Sides,
): AsyncGenerator<Action[]> {
  const context = { rules, sides, grain: await sides.timeGrain(target) };
  // Directories that are not made, since something else that is to be kept has the name: nothing can go into them.
  const skipped = new Map<string, true>();
  const isInSkipped = (entry: TreeEntry, existing: TreeEntry | undefined) => {
    if (rules.ifExists !== 'skip') return false;
    if (nearest(entry.path, skipped) === true) return true;
    const isInPlace = existing !== undefined && existing.type !== 'directory';
    if (entry.type === 'directory' && entry.path !== '' && isInPlace) skipped.set(entry.path, true);
    return false;
  };
  const settled = (entry: TreeEntry, action: Action): Action => {
    if (rules.ifExists === 'rename') return renamed(action, target);
    // A directory that is in the way of a file has to be removed like everything in it.
    const isInTheWay = (action.kind === 'file' || action.kind === 'link') && action.late;
    if (!isInTheWay) target.delete(entry.path);
    return action;
  };
  if (rules.compare !== 'digest') {
    const decided = (entry: TreeEntry): Action => {
      const existing = target.get(entry.path);
      if (isInSkipped(entry, existing)) return { kind: 'skip', entry, reason: 'exists' };
      return settled(entry, decide(entry, existing, context));
    };
    for await (const batch of source) yield batch.map(decided);
    return;
  }
  // Where names are given, each has to be known before the next entry is looked at.
  const limit = rules.ifExists === 'rename' ? 1 : () => sides.comparedAtOnce;
  const actions = mapConcurrently(each(source), limit, async (entry): Promise<Action> => {
    const existing = target.get(entry.path);
    if (isInSkipped(entry, existing)) return { kind: 'skip', entry, reason: 'exists' };
    return settled(entry, await decideByDigest(entry, existing, context));
  });
  for await (const action of actions) yield [action];
}

/** The same beside what stands at the target already, under a name that neither it nor another of the source has. */
function renamed(action: Action, target: Map<string, TreeEntry>): Action {
  const { path } = action.entry;
  const isInTheWay = (action.kind === 'file' || action.kind === 'link') && action.existing !== undefined;
  const to = isInTheWay ? freePath(path, target) : path;
  if (to === undefined) return refuse(action.entry, 'exists', 'exists already, and no other name is free');
  // Whatever of the source comes later under that name is not the same, even if it looks so.
  const isGiven = to !== path;
  target.set(to, isGiven ? { ...action.entry, size: NaN, mtimeMs: NaN } : action.entry);
  return action.kind === 'file' || action.kind === 'link' ? { ...action, to, existing: undefined } : action;
}

interface Context {
  rules: Rules;
  sides: Sides;
  /** Of the times of the target. */
  grain: number;
}

// A file that cannot be compared must not keep the others from it; a server that is gone does.
async function decideByDigest(
  entry: TreeEntry,
  existing: TreeEntry | undefined,
  context: Context,
): Promise<Action> {
  const isAsked = entry.type === 'file' && existing?.type === 'file' && entry.size === existing.size;
  try {
    const hasSameDigest = isAsked && (await context.sides.hasSameContent(entry, existing));
    return decide(entry, existing, context, hasSameDigest);
  } catch (error) {
    if (!isSealiftError(error, ...OF_ONE_FILE)) throw error;
    return { kind: 'refuse', entry, error };
  }
}

const OF_ONE_FILE = ['local-file', 'local-not-found', 'source-changed', 'not-found', 'is-directory'] as const;

function decide(
  entry: TreeEntry,
  existing: TreeEntry | undefined,
  context: Context,
  hasSameDigest = false,
): Action {
  const { rules, grain } = context;
  if (entry.type === 'symlink' && !rules.archive) return { kind: 'skip', entry, reason: 'link' };
  const error = linkProblem(entry);
  if (error !== undefined) return { kind: 'refuse', entry, error };
  if (existing === undefined) return send(entry, undefined);
  if (entry.type !== existing.type) {
    if (entry.path === '') throw otherKind(entry, existing);
    return replaceOther(entry, existing, rules);
  }
  const isDifferent =
    !hasSameTime(entry, existing, grain) || (rules.archive && hasOtherMode(entry, existing, context));
  if (entry.type === 'directory')
    return { kind: 'directory', entry, existing, differs: rules.archive && isDifferent };
  const isSame =
    entry.type === 'symlink'
      ? entry.target === existing.target
      : hasSameDigest || (rules.compare === 'time' && hasSameSizeAndTime(entry, existing, grain));
  if (!isSame) return replace(entry, existing, rules);
  if (!isDifferent) return { kind: 'skip', entry, reason: 'unchanged' };
  // Only its attributes would change, but it was to be left as it is.
  if (rules.ifExists === 'skip' || rules.ifExists === 'rename')
    return { kind: 'skip', entry, reason: 'exists' };
  if (rules.ifExists === 'fail') return refuse(entry, 'exists', 'exists already at the target');
  return { kind: 'attributes', entry, existing };
}

function hasSameSizeAndTime(entry: TreeEntry, existing: TreeEntry, grain: number): boolean {
  return entry.size === existing.size && hasSameTime(entry, existing, grain);
}

// A link has no permission bits of its own.
function hasOtherMode(entry: TreeEntry, existing: TreeEntry, { sides }: Context): boolean {
  return entry.type !== 'symlink' && sides.keptMode(entry) !== existing.mode;
}

function replace(entry: TreeEntry, existing: TreeEntry, { update, ifExists }: Rules): Action {
  if (update && existing.mtimeMs > entry.mtimeMs) return { kind: 'skip', entry, reason: 'newer' };
  if (ifExists === 'skip') return { kind: 'skip', entry, reason: 'exists' };
  if (ifExists === 'fail') return refuse(entry, 'exists', 'exists already at the target');
  return send(entry, existing);
}

// A name is replaced whatever stands there, but for a directory: with it would go all that is in it. And for a
// directory no other name can be found: what is in it goes by its name.
function replaceOther(entry: TreeEntry, existing: TreeEntry, rules: Rules): Action {
  const action = replace(entry, { ...existing, mtimeMs: -Infinity }, rules);
  if (action.kind === 'directory' && rules.ifExists === 'rename')
    return refuse(entry, 'exists', 'exists already at the target, and is no directory');
  if (existing.type !== 'directory' || (action.kind !== 'file' && action.kind !== 'link')) return action;
  if (!rules.delete) {
    return refuse(entry, 'is-directory', 'is a directory at the target, which only --delete would remove');
  }
  return { ...action, existing: undefined, late: true };
}

// Inside a tree one is replaced by the other; but two names that were given by a person were not meant so.
function otherKind({ type }: TreeEntry, existing: TreeEntry): SealiftError {
  const message = `The source is a ${type} and the target a ${existing.type}.`;
  return new SealiftError('invalid-argument', message, { hint: 'Name another target, or remove it first.' });
}

function send(entry: TreeEntry, existing: TreeEntry | undefined): Action {
  if (entry.type === 'directory') return { kind: 'directory', entry, existing, differs: true };
  const kind = entry.type === 'symlink' ? 'link' : 'file';
  return { kind, entry, to: entry.path, existing, late: false };
}

function refuse(entry: TreeEntry, code: 'exists' | 'is-directory', how: string): Action {
  const error = new SealiftError(code, `${JSON.stringify(entry.path)} ${how}.`);
  return { kind: 'refuse', entry, error };
}

function freePath(path: string, taken: ReadonlyMap<string, unknown>): string | undefined {
  for (const candidate of freeNames(path)) if (!taken.has(candidate)) return candidate;
  return undefined;
}

/** Names that are tried one after the other: `a.txt`, `a-1.txt`, `a-2.txt`, … */
export function* freeNames(path: string): Generator<string> {
  const [, stem = path, ending = ''] = /^(.*[^/])(\.[^./]+)$/s.exec(path) ?? [];
  yield path;
  for (let number = 1; number <= 999; number += 1) yield `${stem}-${number}${ending}`;
}
