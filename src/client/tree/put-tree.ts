import { join, resolve } from 'node:path';

import { anySignal } from '../../clock.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { BLOCK_BYTES } from '../../transfer/blocks.ts';
import { baseName, isWithin, joinPath, parentPath } from '../../transfer/remote-path.ts';
import { formatAddress } from '../../transport/address.ts';
import { abortable } from '../abortable.ts';
import { openFileSource, readFileSource } from '../block-source.ts';
import type { Client } from '../client.ts';
import type { Connector } from '../connector.ts';
import type { ResumeKeys } from '../resume-keys.ts';
import { retrying, type TransferOptions } from '../transfer-options.ts';
import type { UploadOptions } from '../upload-options.ts';
import { hasNoPlace, type TakeBack } from '../upload-publishing.ts';
import { upload } from '../upload.ts';
import { goesByBlocks, type SendAction } from './action.ts';
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
import { scanRemote } from './remote-scan.ts';
import { MAX_GRAIN_MS } from './time-grain.ts';
import type { NameFolding, TreeEntry } from './tree-entry.ts';

export interface PutTreeOptions extends DirectionOptions, TransferOptions {
  connector: Connector;
  /** The local tree. */
  root: string;
  /** Where it goes on the server. */
  top: string;
  resumeKeys?: ResumeKeys | undefined;
}

/** Sends a local tree to a server. */
export class PutTree implements TreeDirection {
  readonly sourceName: string;
  readonly targetName: string;
  #options: PutTreeOptions;
  readonly #digests = new ContentDigests(
    (question) => this.#ask(question),
    () => this.#options.signal,
  );

  constructor(options: PutTreeOptions) {
    const signal = options.connector.endedBy(options.signal);
    this.#options = { sharedProgress: { count: 0 }, ...options, signal };
    this.sourceName = options.root;
    this.targetName = `${formatAddress(options.connector.options.address)}/${options.top}`;
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

  async *scanSource(options: ScanOptions): AsyncGenerator<TreeEntry[]> {
    // The root of a server stands, and has no name by which it could be changed.
    const isRoot = ({ path, type }: TreeEntry) => type === 'directory' && this.#remote(path) === '';
    for await (const entries of scanLocal(this.#options.root, options))
      yield entries.filter((entry) => !isRoot(entry));
  }

  scanTarget(): Promise<Map<string, TreeEntry>> {
    const { top, signal } = this.#options;
    return this.#ask(async (client) => {
      const entries = new Map<string, TreeEntry>();
      try {
        for await (const page of scanRemote(client, top, signal))
          for (const entry of page)
            if (!this.#isBackup(parentPath(entry.path))) entries.set(entry.path, entry);
      } catch (error) {
        if (!isSealiftError(error, 'not-found', 'not-directory')) throw error;
      }
      return entries;
    });
  }

  // The server adds what it needs to read files and directories itself.
  keptMode({ type, mode }: TreeEntry): number {
    return mode | (type === 'directory' ? 0o500 : 0o400);
  }

  // A server that does not say is taken to keep them: what is sent for nothing is lost by nobody.
  timeGrain(): Promise<number> {
    return this.#ask(({ hello: { timeGrainMs = 1 } }) =>
      Promise.resolve(Math.min(timeGrainMs, MAX_GRAIN_MS)),
    );
  }

  hasSameContent({ path }: TreeEntry, existing: TreeEntry): Promise<boolean> {
    return this.#digests.areSame(this.#local(path), this.#remote(existing.path), existing.size);
  }

  sourceDigest({ path, size }: TreeEntry): Promise<string> {
    return this.#digests.local(this.#local(path), size);
  }

  targetDigest({ path, size }: TreeEntry): Promise<string> {
    return this.#digests.remote(this.#remote(path), size);
  }

  nameFolding(): Promise<NameFolding> {
    return this.#ask(({ hello: { features } }) => {
      const isFolding = features.includes('case-insensitive');
      const forms = features.includes('normalization-insensitive');
      // Of the ends of names no server tells: they are taken for dropped where that is likely.
      return Promise.resolve({ case: isFolding, forms, ends: isFolding });
    });
  }

  // The grammar of paths was looked at when the tree was: the server takes all other names.
  nameProblem(path: string): SealiftError | undefined {
    if (!this.#isBackup(path)) return undefined;
    return new SealiftError(
      'bad-name',
      `${JSON.stringify(path)} is a name that is used there for what is replaced.`,
    );
  }

  begin(): Promise<void> {
    return Promise.resolve();
  }

  makeDirectory({ path, mode }: TreeEntry): Promise<Client | undefined> {
    const { archive = true } = this.#options;
    return this.#ask(async (client) => {
      // Writable until everything is in it; its own bits come in the end.
      await client.mkdir(this.#remote(path), archive ? { mode: mode | 0o700 } : {});
      return client;
    });
  }

  async send(action: SendAction, hooks: SendHooks): Promise<FileOutcome> {
    const { connector, archive = true, mustBeNew = false, resumeKeys } = this.#options;
    const { entry, to, existing, again = false } = action;
    const local = this.#local(entry.path);
    const remote = this.#remote(to);
    const links = { followsLinks: entry.path === '' };
    const isInBlocks = goesByBlocks(action);
    const small = isInBlocks ? undefined : readFileSource(local, links);
    const source = small ?? (await openFileSource(local, links));
    try {
      const options: UploadOptions = { ...this.#options, ...hooks, durability: 'memory' };
      if (source.mode !== undefined) options.mode = archive ? source.mode : source.mode & ~process.umask();
      if (mustBeNew && existing === undefined && !again) options.if = 'absent';
      if (existing !== undefined) options.beforePublishing = this.#keeping(existing.path);
      if (isInBlocks && usesDelta(this.#options, action) && (await this.#mayRead()))
        options.base = 'existing';
      if (entry.size > BLOCK_BYTES && resumeKeys !== undefined)
        options.resume = { keys: resumeKeys, name: this.#resumeName(local, remote) };
      const { receipt, sentBytes, resumedBytes, retries, client } = await upload(
        connector,
        source,
        remote,
        options,
      );
      return {
        path: receipt.path,
        size: receipt.size,
        digest: receipt.digest,
        etag: receipt.etag,
        durability: receipt.durability,
        movedBytes: sentBytes,
        resumedBytes,
        retries,
        unsynced: client,
      };
    } finally {
      await source[Symbol.asyncDispose]();
    }
  }

  link({ entry, to, existing }: SendAction): Promise<Client | undefined> {
    const path = this.#remote(to);
    let keep = existing === undefined ? undefined : this.#keeping(existing.path);
    let takeBack: TakeBack | undefined;
    return this.#ask(async (client) => {
      // Asked again, it would take what was made meanwhile for what stood before, and put that in the place of the backup.
      if (keep !== undefined) takeBack = await keep(client);
      keep = undefined;
      await client.symlink(path, entry.target ?? '').catch(async (error: unknown) => {
        if (hasNoPlace(error)) await takeBack?.(client).catch(() => undefined);
        throw error;
      });
      await client.set(path, { mtimeMs: entry.mtimeMs });
      return client;
    });
  }

  async set(path: string, attributes: Attributes): Promise<void> {
    await this.#ask((client) => client.set(this.#remote(path), attributes));
  }

  async move(from: string, to: string): Promise<void> {
    await this.#ask(async (client) => {
      try {
        await client.move(this.#remote(from), this.#remote(to), { if: 'absent' });
      } catch (error) {
        // It may have been moved already, and the answer lost.
        if (!isSealiftError(error, 'not-found', 'exists')) throw error;
        const isMoved = await client.stat(this.#remote(from)).then(
          () => false,
          (absence: unknown) => isSealiftError(absence, 'not-found', 'not-directory'),
        );
        if (!isMoved) throw error;
        await client.stat(this.#remote(to));
      }
    });
  }

  async remove({ path, type }: TreeEntry): Promise<void> {
    const keep = this.#keeping(path);
    await this.#ask(async (client) => {
      if (type !== 'directory' && (await keep(client)) !== undefined) return;
      await client.remove(this.#remote(path)).catch(passOverGone).catch(explainNotEmpty);
    });
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The connector is its owner's.
  }

  #resumeName(local: string, remote: string): string {
    return `${formatAddress(this.#options.connector.options.address)}\0${remote}\0${resolve(local)}`;
  }

  /** What stands on the server tells what it holds only to who may read it. */
  #mayRead(): Promise<boolean> {
    return this.#ask(({ hello }) => Promise.resolve(hello.permissions.includes('read')));
  }

  #isBackup(path: string): boolean {
    const { backupDirectory, top } = this.#options;
    if (backupDirectory === undefined || !isWithin(backupDirectory, top)) return false;
    return isWithin(this.#remote(path), backupDirectory);
  }

  #local(path: string): string {
    return join(this.#options.root, path);
  }

  #remote(path: string): string {
    if (path === '') return this.#options.top;
    return joinPath(this.#options.top, path);
  }

  /**
   * What moves what stands under `path` into the backup directory, and may be asked again until it has. It tells how to
   * take that back; undefined if there is no such directory.
   */
  #keeping(path: string): (client: Client) => Promise<TakeBack | undefined> {
    const { backupDirectory, top } = this.#options;
    const wanted = path === '' ? baseName(top) : path;
    /** Where it is if it was moved, and the answer to that lost. */
    let mayBeAt: string | undefined;
    const takeBackFrom = (kept: string | undefined): TakeBack => {
      // What an earlier run kept there is not what stood here.
      if (kept === undefined) return () => Promise.resolve();
      return (client) => client.move(kept, this.#remote(path), { if: 'absent' });
    };
    return async (client) => {
      if (backupDirectory === undefined) return undefined;
      let inTheWay: unknown;
      for (const name of backupNames(wanted)) {
        const condition = name === wanted ? {} : ({ if: 'absent' } as const);
        const kept = joinPath(backupDirectory, name);
        try {
          await client.move(this.#remote(path), kept, condition);
          return takeBackFrom(kept);
        } catch (error) {
          if (isSealiftError(error, 'not-found')) return takeBackFrom(mayBeAt);
          if (!isSealiftError(error, 'is-directory', 'not-directory', 'exists')) {
            mayBeAt = kept;
            throw error;
          }
          inTheWay ??= error;
        }
      }
      throw inTheWay;
    };
  }

  #ask<T>(question: (client: Client) => Promise<T>): Promise<T> {
    const { connector, signal } = this.#options;
    // A server may take as long as it says that it is at it.
    return retrying(this.#options, { retries: 0 }, async () =>
      abortable(question(await connector.use(signal)), signal),
    );
  }
}

function passOverGone(error: unknown): void {
  if (!isSealiftError(error, 'not-found')) throw error;
}

function explainNotEmpty(error: unknown): never {
  if (!isSealiftError(error, 'not-empty')) throw error;
  throw new SealiftError(
    error.code,
    `${error.message.replace(/\.$/, '')}: it holds what a server does not list.`,
    {
      cause: error,
      hint: 'sealift rm -r removes it with all in it.',
    },
  );
}
