import { expect } from 'vitest';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { isWithin } from '../../src/transfer/remote-path.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { fileDigestOf } from '../support/raw-upload.ts';
import {
  blockOf,
  contentOf,
  FILES,
  keyOf,
  ownerOf,
  type Act,
  type ClientName,
  type Condition,
} from './acts.ts';
import { ModelFiles, type Replacement } from './model-files.ts';
import { ModelLeases } from './model-leases.ts';
import { ModelUploads, type ModelUpload } from './model-uploads.ts';
import { Refusal } from './refusal.ts';

/** What bob may fill below `b`, versions and unfinished uploads included. */
export const QUOTA = { bytes: 2 * BLOCK_BYTES, files: 5 };
const BOBS = 'b';

/** What a request was answered, as far as the model has an opinion of it. */
export interface Told {
  /** `ok`, or the code of the error. */
  code: string;
  fields: Readonly<Record<string, unknown>>;
  content?: Buffer | undefined;
  /** The digests of the blocks held, `''` for one that is not. */
  held?: string[] | undefined;
}

/**
 * A whole server as SPEC.md tells it: files and versions, uploads, leases, permissions and quotas. `take` does an act as
 * the server should have done it, and fails where that was told something else.
 */
export class Model {
  readonly files = new ModelFiles();
  readonly uploads: ModelUploads;
  readonly #leases: ModelLeases;
  /** What bob made on his connection, and so may change as long as it is what stands there. */
  #made = new Map<string, symbol | undefined>();
  /** Blocks that were refused, by connection and upload. */
  #failed = new Map<string, Set<number>>();
  #haveDaysPassed = false;

  constructor(options: { clock: FakeClock; hasHoles: boolean }) {
    this.#leases = new ModelLeases(options.clock);
    this.uploads = new ModelUploads(this.files, options);
  }

  /** The upload that an act names. */
  named(act: { upload: number }): ModelUpload | undefined {
    return this.uploads.begun.at(-1 - act.upload);
  }

  /** The condition as a request says it. */
  conditionOf(path: string, { if: wanted, isRight }: Condition): { if: string; etag?: string | undefined } {
    if (wanted !== 'match') return { if: wanted };
    const etag = this.files.standing(path)?.etag;
    return { if: 'match', etag: isRight && etag !== undefined ? etag : 'another' };
  }

  /** Does what happened to a client or to all. */
  pass(by: ClientName, act: Extract<Act, { type: 'disconnect' | 'restart' | 'pass' }>): void {
    if (act.type === 'disconnect') this.#leave(by);
    if (act.type === 'restart') {
      for (const client of ['alice 1', 'alice 2', 'bob'] as const) this.#leave(client);
      this.uploads.restart();
      this.#leases.clear();
    }
    if (act.type === 'pass' && act.time === 'days') {
      this.files.versions = [];
      this.uploads.sweep();
      this.#haveDaysPassed = true;
    }
  }

  /** Does what a client asked for, and compares. */
  take(by: ClientName, act: Act, told: Told): void {
    const lyingBefore = this.#lying();
    let code = 'ok';
    try {
      this.#do(by, act, told);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      code = error.code;
    }
    expect(told.code).toBe(code);
    const lying = this.#lying();
    if (by === 'bob' && told.code === 'ok') {
      expect(lying.bytes).toBeLessThanOrEqual(Math.max(lyingBefore.bytes, QUOTA.bytes));
      expect(lying.files).toBeLessThanOrEqual(Math.max(lyingBefore.files, QUOTA.files));
    }
  }

  #do(by: ClientName, act: Act, told: Told): void {
    const owner = ownerOf(by);
    const { files, uploads } = this;
    this.#authorize(by, act);
    switch (act.type) {
      case 'put': {
        const { path, mode } = act;
        const content = FILES.small[act.content] as Buffer;
        this.#refuseWithoutRoom(by, act, told, { path, replacement: this.#replacement(by, act) });
        files.publish(
          path,
          { type: 'file', content, mode: mode && mode | 0o400 },
          this.#replacement(by, act),
        );
        this.#noteMade(by, path);
        if (told.code === 'ok') this.#adopt(path, told, content);
        return;
      }
      case 'begin': {
        const { path, length, isSizeKnown, base } = act;
        const size = isSizeKnown ? FILES[length][0].length : null;
        const key = `${owner} ${path} ${act.key === undefined ? `own ${uploads.begun.length}` : keyOf(act)}`;
        const beginning = { ...this.#replacement(by, act), owner, key, path, size, length, base };
        const id = told.code === 'ok' ? (told.fields['upload'] as string) : '';
        const begun = uploads.begin(beginning, {
          id,
          by,
          refuse: () => this.#refuseBeyondQuota(by, act, told),
        });
        if (told.code !== 'ok') return;
        expect(told.fields['base']).toBe(begun.base);
        const held = (told.held ?? []).flatMap((digest, index) => (digest === '' ? [] : [[index, digest]]));
        expect(new Map(held as [number, string][])).toEqual(begun.upload.held);
        return;
      }
      case 'block':
        return this.#block(by, act, told);
      case 'blocks':
        throw new Error('blocks are asked for one by one');
      case 'commit':
        return this.#commit(by, act, told);
      case 'abort': {
        const upload = uploads.find(this.#asked(act), owner);
        return uploads.end(upload);
      }
      case 'get': {
        const node = files.existing(act.path);
        if (node.type === 'directory') throw new Refusal('is-directory');
        if (node.type === 'symlink') throw new Refusal('bad-request');
        expect(told.content?.equals(node.content)).toBe(true);
        return;
      }
      case 'stat':
        expect(told.fields['type'] ?? files.existing(act.path).type).toBe(files.existing(act.path).type);
        return;
      case 'mkdir':
        this.#refuseBeyondQuota(by, act, told);
        if (files.makeDirectory(act.path, act.mode && act.mode | 0o500)) this.#noteMade(by, act.path);
        return;
      case 'symlink':
        this.#refuseBeyondQuota(by, act, told);
        files.publish(
          act.path,
          { type: 'symlink', content: Buffer.from('target') },
          this.#replacement(by, act),
        );
        return this.#noteMade(by, act.path);
      case 'set':
        if (by === 'bob' && files.existing(act.path).birth !== this.#made.get(act.path))
          throw new Refusal('forbidden');
        return files.set(act.path, act.mtimeMs);
      case 'remove':
        return files.remove(act.path, act.recursive);
      case 'move':
        return files.move(act.path, act.to, this.#replacement(by, { ...act, path: act.to }));
      case 'lock':
        return this.#leases.lock(act, owner);
      case 'unlock':
        return this.#leases.unlock(act, owner);
      case 'sync':
      case 'disconnect':
      case 'restart':
      case 'pass':
    }
  }

  #block(by: ClientName, act: Extract<Act, { type: 'block' }>, told: Told): void {
    const upload = this.uploads.find(this.#asked(act), ownerOf(by));
    upload.users.add(by);
    const name = `${by} ${upload.id}`;
    const failed = this.#failed.get(name) ?? new Set<number>();
    this.#failed.set(name, failed);
    try {
      this.#refuseBeyondQuota(by, act, told);
      this.uploads.write(upload, act.index, blockOf(upload, act), act.isRight);
      failed.delete(act.index);
    } catch (error) {
      if (error instanceof Refusal && error.code !== 'bad-request') failed.add(act.index);
      throw error;
    }
    if ([...failed].some((index) => !upload.held.has(index))) throw new Refusal('incomplete');
  }

  #commit(by: ClientName, act: Extract<Act, { type: 'commit' }>, told: Told): void {
    const owner = ownerOf(by);
    const upload = this.#asked(act);
    const content = contentOf(upload, act);
    const digest = fileDigestOf(content);
    if (!this.uploads.isLive(upload) || upload.owner !== owner) {
      const known = this.uploads.receipts.get(upload.id);
      // Remembered for a day: a store whose files bear the times of this machine forgets later than the model knows.
      const isKnown = known?.owner === owner && known.digest === digest;
      if (isKnown && !(this.#haveDaysPassed && told.code === 'unknown-upload')) {
        const { id: _, ...receipt } = told.fields;
        expect(receipt).toEqual(known.receipt);
        return;
      }
    }
    const { path, ...live } = this.uploads.find(upload, owner);
    upload.users.add(by);
    this.#refuseWithoutRoom(by, act, told, { path, replacement: live });
    if (upload.size !== null && upload.size !== content.length) throw new Refusal('bad-request');
    this.uploads.reopen(upload);
    this.uploads.checkWhole(upload, content);
    upload.isOpen = false;
    this.files.publish(path, { type: 'file', content }, live);
    this.uploads.end(upload);
    this.#noteMade(by, path);
    if (told.code !== 'ok') return;
    this.#adopt(path, told, content);
    const { id: _, ...receipt } = told.fields;
    this.uploads.receipts.set(upload.id, { owner, digest, receipt });
  }

  #authorize(by: ClientName, act: Act): void {
    if (by !== 'bob') return;
    if (act.type === 'remove' || act.type === 'move') throw new Refusal('forbidden');
    if (act.type === 'set' && !this.#made.has(act.path)) throw new Refusal('forbidden');
    if ('path' in act && !isWithin(act.path, BOBS)) throw new Refusal('forbidden');
  }

  // A quota may be refused a little early, for what uploads under way are granted; that it is not exceeded is seen afterwards.
  #refuseBeyondQuota(by: ClientName, act: Act, told: Told): void {
    if (told.code !== 'quota-exceeded') return;
    expect(by).toBe('bob');
    expect(this.#isNearlyFull(act)).toBe(true);
    throw new Refusal('quota-exceeded');
  }

  /** What lies where bob's quota counts. */
  /** The same for a file that is published: where there is no room, what stands in its way is told before all else. */
  #refuseWithoutRoom(
    by: ClientName,
    act: Act,
    told: Told,
    { path, replacement }: { path: string; replacement: Replacement },
  ): void {
    this.#refuseBeyondQuota(by, act, told);
    if (by !== 'bob' || !this.#isNearlyFull(act)) return;
    if (this.files.refusal(path, replacement)?.code === told.code) throw new Refusal(told.code);
  }

  #lying(): { bytes: number; files: number } {
    const nodes = [...this.files.nodes].filter(([path]) => isWithin(path, BOBS)).map(([, node]) => node);
    const all = [...nodes, ...this.files.versions.filter(({ path }) => isWithin(path, BOBS))];
    return { bytes: all.reduce((sum, { content }) => sum + content.length, 0), files: all.length };
  }

  #isNearlyFull(act: Act): boolean {
    const { bytes, files } = this.#lying();
    const largest = FILES.large[0].length;
    const uploads = this.uploads.data.size;
    const added = act.type === 'put' ? FILES.small[0].length : largest;
    return bytes + uploads * largest + added > QUOTA.bytes || files + 3 * uploads + 3 > QUOTA.files;
  }

  #replacement(by: ClientName, { path, condition }: { path: string; condition: Condition }): Replacement {
    return { condition: this.conditionOf(path, condition), mayReplace: by !== 'bob' };
  }

  #adopt(path: string, { fields }: Told, content: Buffer): void {
    expect(fields).toMatchObject({ path, size: content.length, digest: fileDigestOf(content) });
    Object.assign(this.files.existing(path), { etag: fields['etag'], mtimeMs: fields['mtime-ms'] });
  }

  #asked(act: { upload: number }): ModelUpload {
    const upload = this.named(act);
    if (upload === undefined) throw new Refusal('unknown-upload');
    return upload;
  }

  #noteMade(by: ClientName, path: string): void {
    if (by === 'bob') this.#made.set(path, this.files.existing(path).birth);
  }

  #leave(client: ClientName): void {
    this.uploads.leave(client);
    if (client === 'bob') this.#made = new Map();
    for (const name of this.#failed.keys()) if (name.startsWith(client)) this.#failed.delete(name);
  }
}
