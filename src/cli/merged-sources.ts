import { dirname, join } from 'node:path';

import type { Action } from '../client/tree/action.ts';
import { SealiftError } from '../errors.ts';
import type { TransferJob } from './file-jobs.ts';
import type { RunContext } from './run-context.ts';
import type { TreePlaces } from './tree-direction.ts';

/**
 * What the sources of one run bring to the directory into which they all go: where the contents of one is merged with
 * others, two may have the same name, and the later would overwrite what the earlier has just brought. The first is kept.
 */
export class MergedSources {
  /** By path at the target: of which source it is. */
  readonly #taken = new Map<string, { source: object; isDirectory: boolean }>();

  /** A plan in which what an earlier source has brought is refused. */
  async *plan(
    { remote, local, isSending }: TreePlaces,
    batches: AsyncIterable<readonly Action[]>,
  ): AsyncGenerator<readonly Action[]> {
    const source = {};
    const top = isSending ? remote : local;
    for await (const batch of batches)
      yield batch.map((action): Action => {
        if (action.kind === 'refuse' || (action.kind === 'skip' && action.reason !== 'unchanged'))
          return action;
        const { entry } = action;
        const path = join(top, entry.path);
        const isFree = this.#take(source, path, entry.type === 'directory');
        return isFree || action.kind === 'skip'
          ? action
          : { kind: 'refuse', entry, error: takenTwice(path, isSending) };
      });
  }

  /** To be called when the source of these places did not bring `path`, which another may bring then. */
  failed({ remote, local, isSending }: TreePlaces, path: string): void {
    this.#taken.delete(join(isSending ? remote : local, path));
  }

  /** The same job of a file that becomes `path`, which fails if an earlier source has brought that. */
  file(path: string, isSending: boolean, job: TransferJob): TransferJob {
    const run: TransferJob['run'] = async (tally, display) => {
      if (!this.#take({}, join(path), false)) throw takenTwice(path, isSending);
      try {
        await job.run(tally, display);
      } catch (error) {
        this.#taken.delete(join(path));
        throw error;
      }
    };
    return { ...job, run };
  }

  /** Whether `path` is free for `source`, whose it then is. Directories are shared. */
  #take(source: object, path: string, isDirectory: boolean): boolean {
    const taken = this.#taken.get(path);
    if (taken === undefined) {
      if (this.#isBelowFile(source, path)) return false;
      this.#taken.set(path, { source, isDirectory });
      return true;
    }
    return taken.source === source || (taken.isDirectory && isDirectory);
  }

  #isBelowFile(source: object, path: string): boolean {
    for (let above = dirname(path); above !== dirname(above); above = dirname(above)) {
      const taken = this.#taken.get(above);
      if (taken !== undefined) return !taken.isDirectory && taken.source !== source;
    }
    return false;
  }
}

/** What keeps several sources apart; undefined where they cannot meet, or where it is said what becomes of what stands there. */
export function mergedSources(
  { settings }: RunContext,
  sourceCount: number,
  isAnyContents: boolean,
): MergedSources | undefined {
  const mayMeet = sourceCount > 1 && isAnyContents;
  const isOverwritten = settings['ifExists'] === 'overwrite' && settings['update'] !== true;
  return mayMeet && isOverwritten ? new MergedSources() : undefined;
}

function takenTwice(path: string, isSending: boolean): SealiftError {
  const message = `Two of the sources would become ${JSON.stringify(path)}; the first is kept.`;
  return new SealiftError(isSending ? 'exists' : 'local-exists', message);
}
