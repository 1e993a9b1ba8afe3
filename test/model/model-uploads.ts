import { BLOCK_BYTES, blockCount, blockLength } from '../../src/transfer/blocks.ts';
import { blocksOf, digestOf } from '../support/raw-upload.ts';
import type { ModelFiles } from './model-files.ts';
import { checkFileReplacement, type Replacement } from './model-files.ts';
import { Refusal } from './refusal.ts';

/** What is kept of unfinished uploads without anybody working with them; the server's own default. */
const MAX_AGE_MS = 7 * 86_400_000;
const SWEEP_INTERVAL_MS = 600_000;

export interface ModelUpload extends Replacement {
  /** As the server told it. */
  id: string;
  owner: string;
  key: string;
  path: string;
  size: number | null;
  length: 'small' | 'large';
  /** The digests of the blocks held. */
  held: Map<number, string>;
  short: { index: number; length: number } | undefined;
  /** Connections that work with it. */
  users: Set<string>;
  /** Whether its data is open; if not, it is opened with the next block or commit, as by a `put`. */
  isOpen: boolean;
}

export type Beginning = Omit<ModelUpload, 'id' | 'held' | 'short' | 'users' | 'isOpen'> & {
  base: 'none' | 'partial' | 'existing';
};

interface KeptData {
  blocks: Map<number, Buffer>;
  writtenMs: number;
}

/** The uploads of a server, by what each of them holds. */
export class ModelUploads {
  /** All that were ever begun. */
  readonly begun: ModelUpload[] = [];
  /** What the store keeps, by key. */
  readonly data = new Map<string, KeptData>();
  readonly receipts = new Map<string, { owner: string; digest: string; receipt: Record<string, unknown> }>();
  readonly #files: ModelFiles;
  readonly #hasHoles: boolean;
  readonly #clock: { now(): number };
  #live = new Set<ModelUpload>();
  #superseded = new Set<ModelUpload>();
  #sweptMs = -Infinity;

  /** `hasHoles`: what was not written, and lies before what was, is read as zeros. */
  constructor(files: ModelFiles, { hasHoles, clock }: { hasHoles: boolean; clock: { now(): number } }) {
    this.#files = files;
    this.#hasHoles = hasHoles;
    this.#clock = clock;
  }

  /** Begins an upload as the server did that answered with `id`; `refuse` throws what it refuses for another reason. */
  begin(
    beginning: Beginning,
    { id, by, refuse }: { id: string; by: string; refuse: () => void },
  ): { upload: ModelUpload; base: string } {
    const { key, path, size, base } = beginning;
    checkFileReplacement(this.#files.standing(path), beginning);
    const isSweepDue = this.#clock.now() - this.#sweptMs >= SWEEP_INTERVAL_MS;
    let before: ModelUpload | undefined;
    try {
      refuse();
      before = [...this.#live].find((each) => each.key === key);
      if (before !== undefined) this.#supersede(before);
      this.#files.find(path);
    } catch (error) {
      if (isSweepDue) this.sweep();
      throw error;
    }
    // It is worked on by then.
    if (isSweepDue) this.sweep(key);
    const known = before !== undefined && before.short === undefined ? before.held : undefined;
    const kept = base === 'none' ? undefined : this.data.get(key);
    const data = kept ?? { blocks: new Map<number, Buffer>(), writtenMs: this.#clock.now() };
    this.data.set(key, data);
    const found = kept === undefined ? new Map<number, string>() : (known ?? this.#hashed(data, size));
    const copied = found.size === 0 && base === 'existing' ? this.#copy(path, size, data) : undefined;
    const upload = {
      ...beginning,
      id,
      held: new Map(copied ?? found),
      short: undefined,
      users: new Set([by]),
      isOpen: true,
    };
    this.begun.push(upload);
    this.#live.add(upload);
    const started = copied !== undefined ? 'existing' : found.size > 0 ? 'partial' : 'none';
    return { upload, base: started };
  }

  /** The upload, if it can be worked with. */
  find(upload: ModelUpload, owner: string): ModelUpload {
    if (upload.owner !== owner) throw new Refusal('unknown-upload');
    if (this.#live.has(upload)) return upload;
    throw new Refusal(this.#superseded.has(upload) ? 'superseded' : 'unknown-upload');
  }

  isLive(upload: ModelUpload): boolean {
    return this.#live.has(upload);
  }

  write(upload: ModelUpload, index: number, content: Buffer, isRight: boolean): void {
    const { size, held, key } = upload;
    if (size !== null && content.length !== blockLength(size, index)) throw new Refusal('bad-request');
    if (!isRight) throw new Refusal('digest-mismatch');
    const isShort = size === null && content.length < BLOCK_BYTES;
    const { short } = upload;
    if (size === null && short !== undefined && (index > short.index || (isShort && index !== short.index)))
      throw new Refusal('bad-request');
    if (isShort || short?.index === index)
      upload.short = isShort ? { index, length: content.length } : undefined;
    if (held.get(index) === digestOf(content)) return;
    try {
      this.reopen(upload);
    } catch (error) {
      if (isShort) upload.short = undefined;
      throw error;
    }
    const data = this.data.get(key) ?? { blocks: new Map<number, Buffer>(), writtenMs: 0 };
    const before = data.blocks.get(index);
    const rest = this.#hasHoles ? (before?.subarray(content.length) ?? Buffer.alloc(0)) : Buffer.alloc(0);
    data.blocks.set(index, Buffer.concat([content, rest]));
    data.writtenMs = this.#clock.now();
    this.data.set(key, data);
    held.set(index, digestOf(content));
  }

  /** Opens the data, if it is closed, as a `put` would. */
  reopen(upload: ModelUpload): void {
    if (upload.isOpen) return;
    this.#files.find(upload.path);
    upload.isOpen = true;
    const { short, held, key } = upload;
    const blocks = this.data.get(key)?.blocks;
    const block = short && blocks?.get(short.index);
    if (short === undefined || block === undefined || block.length <= short.length) return;
    // Whether the short block is whole, or the rest of a longer one, is not known any more.
    blocks?.set(short.index, block.subarray(0, short.length));
    held.delete(short.index);
  }

  /** Throws unless exactly the blocks of `content` are held. */
  checkWhole({ size, held, short }: ModelUpload, content: Buffer): void {
    const blocks = blocksOf(content);
    const last = blocks.length - 1;
    const lastLength = blocks[last]?.length ?? BLOCK_BYTES;
    const hasRightEnd =
      size !== null ||
      (short === undefined
        ? lastLength === BLOCK_BYTES
        : short.index === last && short.length === lastLength);
    const isComplete = held.size === blocks.length && blocks.every((_, index) => held.has(index));
    if (!isComplete || !hasRightEnd) throw new Refusal('incomplete');
    if (blocks.some((block, index) => held.get(index) !== digestOf(block)))
      throw new Refusal('digest-mismatch');
  }

  /** It is published, or its data is gone. */
  end(upload: ModelUpload): void {
    this.#live.delete(upload);
    this.data.delete(upload.key);
  }

  leave(client: string): void {
    for (const upload of this.#live)
      if (upload.users.delete(client) && upload.users.size === 0) upload.isOpen = false;
  }

  /** Removes what was given up, but for the data with the key `except`. */
  sweep(except?: string): void {
    this.#sweptMs = this.#clock.now();
    for (const [key, { writtenMs }] of this.data) {
      const upload = [...this.#live].find((each) => each.key === key);
      const isRunning = (upload?.users.size ?? 0) > 0;
      if (isRunning || key === except || this.#clock.now() - writtenMs <= MAX_AGE_MS) continue;
      if (upload !== undefined) this.#live.delete(upload);
      this.data.delete(key);
    }
  }

  /** Only the data is left. */
  restart(): void {
    this.#live = new Set();
    this.#superseded = new Set();
    this.sweep();
  }

  #supersede(upload: ModelUpload): void {
    this.#live.delete(upload);
    this.#superseded.add(upload);
  }

  #hashed({ blocks }: KeptData, size: number | null): Map<number, string> {
    const bytes = Math.max(0, ...[...blocks].map(([index, { length }]) => index * BLOCK_BYTES + length));
    const held = new Map<number, string>();
    for (let index = 0; index < blockCount(bytes); index += 1) {
      const length = size === null ? BLOCK_BYTES : blockLength(size, index);
      const block = blocks.get(index) ?? Buffer.alloc(0);
      if (index * BLOCK_BYTES + length > bytes || length === 0) continue;
      if (this.#hasHoles) held.set(index, digestOf(Buffer.concat([block, ZEROS]).subarray(0, length)));
      else if (block.length >= length) held.set(index, digestOf(block.subarray(0, length)));
    }
    return held;
  }

  #copy(path: string, size: number | null, data: KeptData): Map<number, string> | undefined {
    const published = this.#files.standing(path);
    if (published?.type !== 'file') return undefined;
    const held = new Map<number, string>();
    const content = published.content.subarray(0, size ?? Infinity);
    for (const [index, block] of blocksOf(content).entries()) {
      if (block.length !== (size === null ? BLOCK_BYTES : blockLength(size, index))) continue;
      const rest = this.#hasHoles ? data.blocks.get(index)?.subarray(block.length) : undefined;
      data.blocks.set(index, Buffer.concat([block, rest ?? Buffer.alloc(0)]));
      data.writtenMs = this.#clock.now();
      held.set(index, digestOf(block));
    }
    return held;
  }
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);
