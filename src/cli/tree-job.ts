import { basename } from 'node:path';

import { isChange, type Action, type SkipReason } from '../client/tree/action.ts';
import type { FileOutcome, TreeDirection } from '../client/tree/direction.ts';
import type { Totals } from '../client/tree/plan-tree.ts';
import { runActions, type TreeObserver } from '../client/tree/run-actions.ts';
import type { Rules } from '../client/tree/decide.ts';
import { systemClock } from '../clock.ts';
import { BLOCK_BYTES } from '../transfer/blocks.ts';
import { joinPath } from '../transfer/remote-path.ts';
import { disposing } from './disposing.ts';
import { printable } from './escape.ts';
import type { TransferJob } from './file-jobs.ts';
import { suitGarbageCollectionToLargeTrees } from './garbage-collection.ts';
import type { RunContext } from './run-context.ts';
import { SKIPPED, type Tally } from './tally.ts';
import type { ShownFile, TransferDisplay } from './transfer-display.ts';
import { runSettings } from './tree-settings.ts';
import { formatSize } from '../units.ts';

export interface TreeJobParts {
  /** The tree as it is shown. */
  name: string;
  direction: TreeDirection;
  rules: Pick<Rules, 'archive' | 'ifExists'>;
  /** The steps in batches, told by `onCount` how much they are as far as is known. */
  plan: (onCount: (totals: Totals) => void) => AsyncIterable<readonly Action[]>;
  /** Show the plan while it is carried out, instead of what became of each file. */
  showsPlan: boolean;
  /** Whether a dry run only shows the plan, since the run that it stands for is refused as a whole. */
  isRefused?: () => boolean;
  /** Told of each path in the tree that failed. */
  onFailed?: ((path: string) => void) | undefined;
  /** Awaited before the first change. */
  onBegin?: (() => Promise<void>) | undefined;
}

/** Brings one tree from one side to the other, or, with `--dry-run`, only tells what that would be. */
export function treeJob(context: RunContext, parts: TreeJobParts): TransferJob {
  return {
    name: parts.name,
    files: null,
    bytes: null,
    run: (tally, display) =>
      disposing(parts.direction, async () => {
        const actions = parts.plan(display.countTree());
        if (context.settings['dryRun'] === true) {
          for await (const batch of actions)
            for (const action of batch) tellPlanned(context, action, tally, parts);
        } else {
          const observer = new TreeReport(context, parts, tally, display);
          const options = { ...runSettings(context, parts.rules, tally), onBegin: parts.onBegin };
          await runActions(parts.direction, actions, options, observer);
        }
      }),
  };
}

// A dry run counts what it finds, so that the sum is that of the run it stands for.
function tellPlanned(context: RunContext, action: Action, tally: Tally, parts: TreeJobParts): void {
  tellAction(context, action, parts, (line) => context.terminal.data(line));
  if (parts.isRefused?.() === true) return;
  if (action.kind === 'refuse') tally.fail(action.error, nameIn(parts.name, action.entry.path));
  else if (action.kind === 'file') {
    tally.files += 1;
    tally.bytes += action.entry.size;
  } else countDone(action, tally);
}

/** From how many actions on a tree is a large one. */
const LARGE_TREE = 20_000;

/** Tells of the steps of one tree, and counts them. */
class TreeReport implements TreeObserver {
  readonly #context: RunContext;
  readonly #parts: TreeJobParts;
  readonly #tally: Tally;
  readonly #display: TransferDisplay;
  #actions = 0;
  readonly #shown = new Map<string, { file: ShownFile; startMs: number }>();

  constructor(context: RunContext, parts: TreeJobParts, tally: Tally, display: TransferDisplay) {
    this.#context = context;
    this.#parts = parts;
    this.#tally = tally;
    this.#display = display;
  }

  onAction(action: Action): void {
    const { terminal } = this.#context;
    this.#actions += 1;
    if (this.#actions === LARGE_TREE) suitGarbageCollectionToLargeTrees();
    if (this.#parts.showsPlan) tellAction(this.#context, action, this.#parts, (line) => terminal.note(line));
    if (action.kind !== 'file') return;
    const hasBar = action.entry.size > BLOCK_BYTES;
    const file = this.#display.file(this.#name(action.entry.path), { bytes: action.entry.size, hasBar });
    this.#shown.set(action.entry.path, { file, startMs: systemClock.monotonicMs() });
  }

  onDone(action: Action, outcome?: FileOutcome): void {
    const { path } = action.entry;
    if (outcome === undefined) {
      countDone(action, this.#tally);
      return;
    }
    const { file, startMs } = this.#shown.get(path) ?? {
      file: undefined,
      startMs: systemClock.monotonicMs(),
    };
    file?.finish(outcome.size);
    this.#shown.delete(path);
    const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
    const { terminal } = this.#context;
    const isSmall = outcome.size <= BLOCK_BYTES;
    // Above bars that count them, thousands of small files would only run through the screen.
    const isTold = !isSmall || !terminal.showsBars || terminal.options.verbose;
    this.#tally.add(this.#name(path), outcome, seconds, {
      isTold: isTold && !this.#parts.showsPlan,
      // How fast a small file among many was says nothing.
      isShort: isSmall,
    });
  }

  onSkipped(entry: Action['entry'], reason: SkipReason): void {
    this.#finish(entry.path);
    if (reason === 'unchanged') this.#tally.unchanged += 1;
    else this.#tally.skip(this.#name(entry.path), reason);
  }

  onFailed(...[error, path, action]: Parameters<NonNullable<TreeObserver['onFailed']>>): void {
    this.#finish(path);
    // What another source has brought stays that one's.
    if (action.kind !== 'refuse') this.#parts.onFailed?.(path);
    this.#tally.fail(error, this.#name(path), action.kind);
  }

  onProgress(path: string, progress: Parameters<ShownFile['update']>[0]): void {
    this.#shown.get(path)?.file.update(progress);
  }

  onRetry(path: string, event: Parameters<Tally['retry']>[1]): void {
    this.#tally.retry(this.#name(path), event);
  }

  #finish(path: string): void {
    this.#shown.get(path)?.file.finish(0);
    this.#shown.delete(path);
  }

  #name(path: string): string {
    return nameIn(this.#parts.name, path);
  }
}

function countDone(action: Action, tally: Tally): void {
  if (action.kind === 'skip') {
    if (action.reason === 'unchanged') tally.unchanged += 1;
    else tally.skipped += 1;
  } else if (action.kind === 'directory') {
    if (!isChange(action)) return;
    tally.directories += 1;
    if (action.existing?.type === 'directory') tally.adjustedDirectories += 1;
  } else if (action.kind === 'link') tally.links += 1;
  else if (action.kind === 'attributes') tally.attributes += 1;
  else if (action.kind === 'move') tally.moved += 1;
  else if (action.kind === 'delete') tally.deleted += 1;
}

const VERBS = {
  file: 'send',
  link: 'send',
  directory: 'send',
  attributes: 'send',
  move: 'move',
  delete: 'delete',
  skip: 'skip',
} as const;

/** Tells a step as dry run and real run both do: what changes nothing only to programs, and to who wants to know more. */
function tellAction(
  { terminal }: RunContext,
  action: Action,
  { name: treeName, showsPlan }: Pick<TreeJobParts, 'name' | 'showsPlan'>,
  line: (text: string) => void,
): void {
  if (action.kind === 'refuse') return;
  const { kind, entry } = action;
  const { json, verbose } = terminal.options;
  // Of what nobody hears there is most.
  if (!isChange(action) && !json && !verbose && !(kind === 'skip' && action.reason !== 'unchanged')) return;
  // Of several sources a path alone would not say which is meant.
  const path = showsPlan ? shownPath(entry, treeName) : nameIn(treeName, entry.path);
  const verb = kind === 'directory' && !isChange(action) ? 'skip' : VERBS[kind];
  const reason = verb !== 'skip' ? undefined : kind === 'skip' ? action.reason : 'unchanged';
  terminal.event('plan', {
    path,
    action: verb,
    what: kind === 'skip' || kind === 'delete' || kind === 'move' ? entry.type : kind,
    size: entry.size,
    ...(kind === 'move' ? { from: action.from.path } : {}),
    ...(reason === undefined ? {} : { reason }),
  });
  if (terminal.options.json) return;
  const name =
    printable(path === '' ? '.' : path).replace(/\/$/, '') + (entry.type === 'directory' ? '/' : '');
  if (reason === 'unchanged') terminal.detail(`skip ${name} (unchanged)`);
  else if (reason !== undefined) line(`skip ${name} (${SKIPPED[reason]})`);
  else if (kind === 'move') line(`move ${printable(action.from.path)} -> ${name}`);
  else if (kind === 'file') line(`send ${name} (${formatSize(entry.size)})`);
  else line(kind === 'attributes' ? `send ${name} (attributes)` : `${verb} ${name}`);
}

/** An entry of a tree as a person knows it. */
export function nameIn(treeName: string, path: string): string {
  return path === '' ? treeName : joinPath(treeName.replace(/\/+$/, ''), path);
}

/** The path of an entry in its tree; a tree that is a single file shows the name of that. */
export function shownPath({ path, type }: Pick<Action['entry'], 'path' | 'type'>, treeName: string): string {
  return path === '' && type !== 'directory' ? basename(treeName) : path;
}
