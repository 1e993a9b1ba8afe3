import { basename, join } from 'node:path';

import { anySignal } from '../../clock.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { BLOCK_BYTES } from '../../transfer/blocks.ts';
import { isWithin, joinPath, parentPath } from '../../transfer/remote-path.ts';
import { formatAddress } from '../../transport/address.ts';
import { blockBuffers } from '../../transport/block-buffers.ts';
import { abortable } from '../abortable.ts';
import { fileSink } from '../block-sink.ts';
import type { Client } from '../client.ts';
import type { Connector } from '../connector.ts';
import { download } from '../download.ts';
import { retrying, type TransferOptions } from '../transfer-options.ts';
import type { SendAction } from './action.ts';
import { localNameFolding } from './case-probe.ts';
import { comparedAtOnce, ContentDigests } from './content-digest.ts';
import {
  backupNames,
  usesDelta,
  type Attributes,
  type DirectionOptions,
  type FileOutcome,
  type SendHooks,
  type TreeDirection,
} from './direction.ts';
import { scanLocal, type ScanOptions } from './local-scan.ts';
import { LocalTarget, type SmallFile } from './local-target.ts';
import { scanRemote, unreadableDirectories } from './remote-scan.ts';
import { localTimeGrain } from './time-grain.ts';
import { isTemporary, type NameFolding, type TreeEntry } from './tree-entry.ts';
import { EVERYTHING } from './tree-filter.ts';
import type { Unsynced } from './unsynced-receipts.ts';

export interface GetTreeOptions extends DirectionOptions, TransferOptions {
  connector: Connector;
  /** The tree on the server. */
  top: string;
  /** Where it goes on this machine. */
  root: string;
  /** The plan is only looked at: nothing is written, not even to try out what the target's file system does. Default false. */
  isDryRun?: boolean;
}

/** Fetches a tree from a server. */
export class GetTree implements TreeDirection {
  readonly sourceName: string;
  readonly targetName: string;
  #options: GetTreeOptions;
  readonly #digests = new ContentDigests(
    (question) => this.#ask(question),
    () => this.#options.signal,
  );
  readonly #target: LocalTarget;
  /** Where what is replaced or removed is kept, and as a path of the tree if it lies in it. */
  readonly #backup: LocalTarget | undefined;
  readonly #backupWithin: string | undefined;
  /** Temporaries of earlier runs, by path. */
  readonly #leftOver = new Set<string>();
  #isFile = false;

  constructor(options: GetTreeOptions) {
    const signal = options.connector.endedBy(options.signal);
    this.#options = { sharedProgress: { count: 0 }, ...options, signal };
    this.sourceName = `${formatAddress(options.connector.options.address)}/${options.top}`;
    this.targetName = options.root;
    this.#target = new LocalTarget(options.root, this.sourceName);
    const { backupDirectory } = options;
    if (backupDirectory === undefined) return;
    this.#backup = new LocalTarget(backupDirectory, this.sourceName);
    if (isWithin(this.#backup.root, this.#target.root))
      this.#backupWithin = this.#backup.root.slice(this.#target.root.length + 1);
  }

  get filesAtOnce(): number {
    const { transfers, connector } = this.#options;
    return connector.atOnce(transfers);
  }

  get comparedAtOnce(): number {
    return comparedAtOnce(this.#options);
  }

  abortOn(signal: AbortSignal | undefined): AbortSignal {
    const either = anySignal(this.#options.signal, signal);
    this.#options = { ...this.#options, signal: either };
    return either;
  }

  async *scanSource({ filter, onWay, onLeftOut, onProblem }: ScanOptions): AsyncGenerator<TreeEntry[]> {
    const { top: root, signal } = this.#options;
    const { entries, problems } = await this.#ask(async (client) => {
      const found: TreeEntry[] = [];
      const directories: string[] = [];
      const filled = new Set<string>();
      const unlisted: { path: string; error: SealiftError }[] = [];
      const onUnlisted = (error: SealiftError, path: string) => {
        if (filter.entersDirectory(path)) unlisted.push({ path, error });
      };
      for await (const page of scanRemote(client, root, signal, onUnlisted)) {
        for (const entry of page) {
          filled.add(parentPath(entry.path));
          if (entry.type === 'directory' && filter.entersDirectory(entry.path)) directories.push(entry.path);
          if (entry.path === '' || filter.takes(entry)) found.push(entry);
          else if (entry.type === 'directory') onWay?.(entry);
          else if (entry.type === 'file' && !filter.protects(entry.path, false)) onLeftOut?.(entry.path);
        }
      }
      const seemEmpty = directories.filter((path) => path !== '' && !filled.has(path));
      const unreadable = unreadableDirectories(client, root, seemEmpty, signal);
      return { entries: found, problems: [...unlisted, ...(await Array.fromAsync(unreadable))] };
    });
    for (const { error, path } of problems) onProblem(error, path);
    const top = entries[0]?.type;
    // A link that was made of it would be followed by the next run, as those of the user's own are.
    const refusal = `${this.sourceName} is a symbolic link, which is never followed.`;
    if (top === 'symlink') throw new SealiftError('bad-request', refusal);
    this.#isFile = top === 'file';
    // In their order, so that two runs do the same in the same order, and a directory comes before what it holds.
    yield entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  async scanTarget(
    onProblem: ScanOptions['onProblem'],
    onSpecial?: ScanOptions['onSpecial'],
  ): Promise<Map<string, TreeEntry>> {
    const { root, signal } = this.#options;
    const entries = new Map<string, TreeEntry>();
    const scan = scanLocal(root, {
      filter: { ...EVERYTHING, entersDirectory: (path) => path !== this.#backupWithin },
      signal,
      onProblem: (error, path) => {
        if (path === '') throw error;
        // A name that no path can say is not among what the server has.
        if (error.code !== 'bad-name') onProblem(error, path);
      },
      onSpecial,
      onTemporary: (path) => {
        if (this.#target.isOwnPartial(path)) this.#leftOver.add(path);
      },
    });
    try {
      for await (const batch of scan) for (const entry of batch) entries.set(entry.path, entry);
    } catch (error) {
      if (!isSealiftError(error, 'local-not-found')) throw error;
    }
    return entries;
  }

  keptMode({ mode }: TreeEntry): number {
    return mode;
  }

  async timeGrain(entries: ReadonlyMap<string, TreeEntry>): Promise<number> {
    return localTimeGrain(await this.#target.changedNs(), entries);
  }

  hasSameContent({ path }: TreeEntry, existing: TreeEntry): Promise<boolean> {
    return this.#digests.areSame(this.#target.file(existing.path), this.#remote(path), existing.size);
  }

  sourceDigest({ path, size }: TreeEntry): Promise<string> {
    return this.#digests.remote(this.#remote(path), size);
  }

  targetDigest({ path, size }: TreeEntry): Promise<string> {
    return this.#digests.local(this.#target.file(path), size);
  }

  nameFolding(): Promise<NameFolding> {
    return localNameFolding(this.#target.root, { mayWrite: this.#options.isDryRun !== true });
  }

  nameProblem(path: string): SealiftError | undefined {
    const isBackup = this.#backupWithin !== undefined && isWithin(path, this.#backupWithin);
    if (!isBackup && !path.split('/').some(isTemporary)) return undefined;
    const use = isBackup ? 'what is replaced' : 'what is under way';
    return new SealiftError('bad-name', `${JSON.stringify(path)} is a name that is used here for ${use}.`);
  }

  async begin(): Promise<void> {
    await this.#target.claim({ isFile: this.#isFile });
    // Before a link of the source could be made on the way to it.
    if (this.#backupWithin !== undefined) await this.#target.directory(this.#backupWithin);
  }

  async makeDirectory({ path, mode }: TreeEntry): Promise<Unsynced> {
    // Writable until everything is in it; its own bits come in the end.
    await this.#target.directory(path, (this.#options.archive ?? true) ? mode | 0o700 : 0o777);
    return this.#target;
  }

  async send(action: SendAction, hooks: SendHooks): Promise<FileOutcome> {
    const { entry } = action;
    if (entry.size > BLOCK_BYTES) return this.#sendLarge(action, hooks);
    try {
      return await this.#sendSmall(action, hooks);
    } catch (error) {
      // It has grown since it was listed.
      if (isSealiftError(error, 'too-large')) return this.#sendLarge(action, hooks);
      throw error;
    }
  }

  async link({ entry, to, existing }: SendAction): Promise<Unsynced> {
    if (existing !== undefined) await this.#makeRoom(existing);
    await this.#target.link(to, entry.target ?? '', entry.mtimeMs);
    return this.#target;
  }

  set(path: string, attributes: Attributes): Promise<void> {
    return this.#target.set(path, attributes);
  }

  move(from: string, to: string): Promise<void> {
    return this.#target.move(from, to);
  }

  async remove({ path, type }: TreeEntry): Promise<void> {
    if (type !== 'directory' && (await this.#keepBackup(path))) return;
    // What an earlier run left in a directory that goes is of no use any more, and would be in the way.
    if (type === 'directory')
      await this.#discard([...this.#leftOver].filter((left) => parentPath(left) === path));
    await this.#target.remove(path, type === 'directory');
  }

  async end({ isComplete }: { isComplete: boolean }): Promise<void> {
    if (isComplete && this.#leftOver.size > 0) {
      await this.begin();
      await this.#discard([...this.#leftOver]);
    }
    try {
      await this.#backup?.sync();
      await this.#target.sync();
    } catch (error) {
      // Else the run has failed already, most likely by this.
      if (isComplete) throw error;
    } finally {
      await this.#target.release();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Of a run that was broken off: so that the next finds what is there. That it failed is known already.
    await this.#target.sync().catch(() => undefined);
    await this.#target.release();
  }

  async #sendSmall(action: SendAction, { onProgress, onRetry }: SendHooks): Promise<FileOutcome> {
    const { entry, to } = action;
    const { connector, signal, throttle } = this.#options;
    const run = { retries: 0 };
    let movedBytes = 0;
    const { content, digest, mtimeMs, mode, etag } = await retrying(
      { ...this.#options, onRetry },
      run,
      async () => {
        const client = await connector.use(signal);
        await abortable(throttle?.(entry.size), signal);
        const answer = await client.get(this.#remote(entry.path), { signal });
        movedBytes += answer.content.length;
        return answer;
      },
    );
    const size = content.length;
    try {
      await this.#target.writeFile(to, content, this.#completion(action, { mtimeMs, mode }));
    } finally {
      blockBuffers.give(content);
    }
    onProgress({ totalBytes: size, doneBytes: size, resumedBytes: 0, movedBytes });
    const moved = { movedBytes, resumedBytes: 0, retries: run.retries };
    return { path: this.#shown(to), size, digest, etag, ...moved, unsynced: this.#target };
  }

  async #sendLarge(action: SendAction, hooks: SendHooks): Promise<FileOutcome> {
    const { entry, to, existing } = action;
    const { connector, root: _root, top: _top, ...transfer } = this.#options;
    return this.#target.withPartial(to, async (partial) => {
      if (existing !== undefined && usesDelta(this.#options, action))
        await partial.startFrom(this.#target.file(existing.path));
      const { receivedBytes, size, digest, etag, mtimeMs, mode, resumedBytes, retries } = await download(
        connector,
        this.#remote(entry.path),
        fileSink(partial),
        { ...transfer, ...hooks },
      );
      const completion = { ...this.#completion(action, { mtimeMs, mode }), size };
      await partial.complete(completion).catch(async (error: unknown) => {
        // It will not get this name: what was fetched would only lie there.
        if (isSealiftError(error, 'local-exists')) await partial.discard();
        throw error;
      });
      return { path: this.#shown(to), size, digest, etag, movedBytes: receivedBytes, resumedBytes, retries };
    });
  }

  #completion({ existing }: SendAction, { mtimeMs, mode }: { mtimeMs: number; mode: number }): SmallFile {
    const { archive = true, mustBeNew = false } = this.#options;
    return {
      mtimeMs,
      mode,
      keepsMode: archive,
      mustBeNew: mustBeNew && existing === undefined,
      // What is new is fetched again if it is lost before it was synced; what it replaced would be gone.
      isReplacement: existing !== undefined,
      beforePublishing: existing === undefined ? undefined : () => this.#makeRoom(existing),
    };
  }

  /** Before something is replaced: it is kept in the backup directory; and a link would be in the way of a file. */
  async #makeRoom(existing: TreeEntry): Promise<void> {
    if (await this.#keepBackup(existing.path)) return;
    if (existing.type === 'symlink') await this.#target.remove(existing.path, false);
  }

  async #keepBackup(path: string): Promise<boolean> {
    if (this.#backup === undefined) return false;
    const wanted = path === '' ? basename(this.#target.root) : path;
    let inTheWay: unknown;
    for (const name of backupNames(wanted)) {
      try {
        await this.#target.moveTo(this.#backup, path, name, { mustBeNew: name !== wanted });
        return true;
      } catch (error) {
        if (!isSealiftError(error, 'local-exists')) throw error;
        inTheWay ??= error;
      }
    }
    throw inTheWay;
  }

  async #discard(temporaries: readonly string[]): Promise<void> {
    await this.#target.discard(temporaries);
    for (const path of temporaries) this.#leftOver.delete(path);
  }

  #remote(path: string): string {
    return path === '' ? this.#options.top : joinPath(this.#options.top, path);
  }

  #shown(path: string): string {
    return path === '' ? this.#options.root : join(this.#options.root, path);
  }

  #ask<T>(question: (client: Client) => Promise<T>): Promise<T> {
    const { connector, signal } = this.#options;
    return retrying(this.#options, { retries: 0 }, async () => question(await connector.use(signal)));
  }
}
