import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Store } from '../storage/store.ts';
import { BLOCK_BYTES } from '../transfer/blocks.ts';
import { isWithin } from '../transfer/remote-path.ts';
import { Recount } from './recount.ts';
import { belongsTo } from './upload-keys.ts';
import type { Upload } from './upload.ts';
import type { Amount, Usage } from './usage.ts';

/** What is granted to a file on its way in. */
export interface Room {
  path: string;
  /** Bytes that it may have for now. */
  bytes: number;
  /** What there will be more then, where it may replace something. */
  added: Amount;
}

interface KeptRoom {
  /** None for data that an earlier process left. */
  room: Room | undefined;
  /** The end of the data that is there. */
  reached: number;
  /** Who has it; null while it is being opened. */
  upload: Upload | null | undefined;
}

/**
 * The room of all uploads under way of principals with a quota, by their keys, so that no two slip through at once. What
 * nobody works with counts with the data that is there; what earlier processes left is found in the store.
 */
export class UploadRooms {
  readonly #parts: { store: Store; clock: Clock; logger: Logger };
  readonly #kept = new Map<string, KeptRoom>();
  readonly #leftovers = new Map<string, Recount>();

  constructor(parts: { store: Store; clock: Clock; logger: Logger }) {
    this.#parts = parts;
  }

  /** What `owner` has left unfinished; see `Recount`. */
  leftovers(owner: string): Recount {
    const recount = this.#leftovers.get(owner) ?? new Recount(this.#parts, () => this.#find(owner));
    this.#leftovers.set(owner, recount);
    return recount;
  }

  /** The end of the data that there is of an upload, as far as is known. */
  reached(key: string): number {
    return this.#kept.get(key)?.reached ?? 0;
  }

  /** Keeps room for an upload; null: for one that is about to be opened. */
  keep(key: string, upload: Upload | null, room: Room): void {
    const kept = this.#kept.get(key);
    // Several blocks may come at once, and the last of them be judged first.
    if (upload !== null && kept?.upload === upload && (kept.room?.bytes ?? 0) >= room.bytes) return;
    this.#kept.set(key, { room, reached: Math.min(kept?.reached ?? 0, room.bytes), upload });
  }

  /** An upload is open; undefined: it could not be opened. */
  opened(key: string, upload: Upload | undefined): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    kept.upload = upload;
    // There is nothing that it could take room for.
    if (upload === undefined && kept.reached === 0) this.#kept.delete(key);
    if (upload !== undefined) kept.reached = Math.min(upload.held.end * BLOCK_BYTES, kept.room?.bytes ?? 0);
  }

  /** Notes that an upload gets data up to `end`; false if that is more than was granted. */
  reach(upload: Upload, end: number): boolean {
    const kept = this.#kept.get(upload.key);
    if (kept?.room === undefined || kept.upload !== upload || kept.room.bytes < end) return false;
    kept.reached = Math.max(kept.reached, end);
    return true;
  }

  /** Whether an upload under way, other than `except`, counts with no more than it adds to what stands at `path`. */
  isReplacing(path: string, except: string): boolean {
    return [...this.#kept].some(
      ([key, kept]) =>
        key !== except &&
        kept.room?.path === path &&
        kept.room.added.bytes < kept.room.bytes &&
        kept.upload?.isEnded !== true &&
        isWorkedWith(kept),
    );
  }

  /** Something else stands at `paths`, or nothing: what an upload was to replace there does not make room for its data any more. */
  changed(paths: readonly string[]): void {
    for (const kept of this.#kept.values()) {
      const { room } = kept;
      if (room !== undefined && paths.some((path) => isWithin(room.path, path))) countInFull(kept, room);
    }
  }

  /** Gives the room of an upload up; what it returns takes that back. */
  giveUp(key: string): () => void {
    const kept = this.#kept.get(key);
    this.#kept.delete(key);
    return () => {
      if (kept !== undefined && !this.#kept.has(key)) this.#kept.set(key, kept);
    };
  }

  /** What is on its way to where `usage` counts, or left unfinished by `owner`; but for the upload `except`. */
  amount(usage: Usage, owner: string, except: string | undefined): Amount {
    const amount = { bytes: 0, files: 0 };
    for (const [key, kept] of this.#kept) {
      if (kept.upload?.isEnded === true) this.#kept.delete(key);
      else if (key !== except && isCounted(key, kept, usage, owner)) {
        shrinkIfLeft(kept);
        amount.bytes += Math.max(0, kept.room?.added.bytes ?? kept.reached);
        amount.files += Math.max(0, kept.room?.added.files ?? 1);
      }
    }
    return amount;
  }

  async #find(owner: string): Promise<void> {
    const known = [...this.#kept.keys()].filter((key) => belongsTo(key, owner));
    const found = new Set<string>();
    for await (const { key, bytes } of this.#parts.store.uploads()) {
      if (!belongsTo(key, owner)) continue;
      found.add(key);
      if (!this.#kept.has(key)) this.#kept.set(key, { room: undefined, reached: bytes, upload: undefined });
    }
    // What nobody went on with is removed by age.
    for (const key of known)
      if (!found.has(key) && !isWorkedWith(this.#kept.get(key))) this.#kept.delete(key);
  }
}

// For good: whoever comes back to it has to ask for the rest again. Nothing is replaced by then, however much it would.
function shrinkIfLeft(kept: KeptRoom): void {
  const { room, reached } = kept;
  if (room === undefined || isWorkedWith(kept)) return;
  countInFull(kept, { ...room, bytes: reached });
}

function countInFull(kept: KeptRoom, room: Room): void {
  kept.room = { ...room, added: { bytes: room.bytes, files: Math.max(1, room.added.files) } };
}

function isWorkedWith(kept: KeptRoom | undefined): boolean {
  return kept?.upload === null || kept?.upload?.hasUsers === true;
}

function isCounted(key: string, { room }: KeptRoom, usage: Usage, owner: string): boolean {
  return room === undefined ? belongsTo(key, owner) : usage.covers(room.path);
}
