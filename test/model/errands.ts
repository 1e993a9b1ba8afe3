import fc from 'fast-check';
import { expect } from 'vitest';

import { isSealiftError } from '../../src/errors.ts';
import type { Upload } from '../../src/server/upload.ts';
import type { Uploads } from '../../src/server/uploads.ts';
import type { Store } from '../../src/storage/store.ts';
import { blockDigest, fileDigest, formatBlockDigest } from '../../src/transfer/digests.ts';
import type { Deed } from './linear.ts';

export type Errand =
  | {
      type: 'upload';
      key: number;
      base: 'none' | 'partial' | 'existing';
      if: 'any' | 'absent';
      /** `leave` ends it in the middle, as a connection does that breaks. */
      end: 'commit' | 'commit twice' | 'abort' | 'leave';
    }
  | { type: 'put'; if: 'any' | 'absent' }
  | { type: 'remove' }
  | { type: 'read' }
  | { type: 'sweep' };

const condition = fc.constantFrom<'any' | 'absent'>('any', 'absent');
export const anyErrand: fc.Arbitrary<Errand> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('upload' as const),
      key: fc.constantFrom(0, 0, 1),
      base: fc.constantFrom<'none' | 'partial' | 'existing'>('partial', 'partial', 'none', 'existing'),
      if: condition,
      end: fc.constantFrom<'commit' | 'commit twice' | 'abort' | 'leave'>(
        'commit',
        'commit twice',
        'abort',
        'leave',
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('put' as const), if: condition }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('remove' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('read' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('sweep' as const) }) },
);

const PATH = 'file';
const OWNER = 'owner';
const OVER = { hold: () => Promise.resolve(), opened: () => undefined };

/** What several do at once to one name, and what they were told. */
export class Errands {
  /** Of all that could be seen. */
  readonly deeds: Deed[] = [];
  /** What was acknowledged. */
  readonly written: string[] = [];
  readonly #uploads: Uploads;
  readonly #store: Store;
  #moment = 0;

  constructor(uploads: Uploads, store: Store) {
    this.#uploads = uploads;
    this.#store = store;
  }

  /** Runs an errand to its end; `text` is the file that it brings. */
  async run(errand: Errand, text: string): Promise<void> {
    switch (errand.type) {
      case 'upload':
        return this.#upload(errand, text);
      case 'put':
        return this.#write(errand.if, text, async () => {
          await this.#store.put(publication(errand.if), Buffer.from(text));
        });
      case 'remove':
        return this.#remove();
      case 'read':
        return this.read();
      case 'sweep':
        return this.#uploads.sweep();
    }
  }

  async read(): Promise<void> {
    const from = (this.#moment += 1);
    const found = await this.content();
    const to = (this.#moment += 1);
    this.deeds.push({ from, to, effect: (stood) => (stood === found ? { stands: stood } : undefined) });
  }

  /** What stands; undefined if nothing does. */
  async content(): Promise<string | undefined> {
    try {
      return await textOf(this.#store, {});
    } catch (error) {
      if (isSealiftError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** What is kept of what stood. */
  async kept(): Promise<string[]> {
    const versions = await Array.fromAsync(this.#store.list('', { recursive: true, versions: true }));
    return Promise.all(versions.map(({ version }) => textOf(this.#store, { version })));
  }

  async #upload(
    { key, base, if: wanted, end }: Extract<Errand, { type: 'upload' }>,
    text: string,
  ): Promise<void> {
    const uploads = this.#uploads;
    const user = {};
    let upload: Upload | undefined;
    try {
      ({ upload } = await uploads.open({
        owner: OWNER,
        resumeKey: String(key),
        request: { ...publication(wanted), size: text.length, algorithm: 'sha256' },
        user,
        base,
        room: OVER,
      }));
      const { id } = upload;
      const raw = blockDigest('sha256', Buffer.from(text));
      await uploads.find(OWNER, id).write(0, formatBlockDigest('sha256', raw), Buffer.from(text));
      if (end === 'abort') return await uploads.abort(OWNER, id);
      if (end === 'leave') return;
      const commit = { size: text.length, digest: fileDigest('sha256', [raw]), mayReplace: true };
      let receipt: unknown;
      await this.#write(wanted, text, async () => {
        receipt = await uploads.commit(OWNER, id, commit);
      });
      if (end === 'commit twice' && receipt !== undefined)
        expect(await uploads.commit(OWNER, id, commit)).toEqual(receipt);
    } catch (error) {
      // Somebody else has begun with the same key.
      if (!isSealiftError(error, 'superseded')) throw error;
    } finally {
      await uploads.leave(user, upload === undefined ? [] : [upload]);
    }
  }

  async #write(wanted: 'any' | 'absent', text: string, write: () => Promise<void>): Promise<void> {
    const from = (this.#moment += 1);
    try {
      await write();
      this.written.push(text);
      const to = (this.#moment += 1);
      const effect: Deed['effect'] = (stood) =>
        wanted === 'absent' && stood !== undefined ? undefined : { stands: text };
      this.deeds.push({ from, to, effect });
    } catch (error) {
      if (!isSealiftError(error, 'exists') || wanted !== 'absent') throw error;
      const to = (this.#moment += 1);
      this.deeds.push({ from, to, effect: (stood) => (stood === undefined ? undefined : { stands: stood }) });
    }
  }

  async #remove(): Promise<void> {
    const from = (this.#moment += 1);
    const found = await this.#store.remove(PATH, { recursive: false }).then(
      () => true,
      (error: unknown) => {
        if (isSealiftError(error, 'not-found')) return false;
        throw error;
      },
    );
    const to = (this.#moment += 1);
    const effect: Deed['effect'] = (stood) =>
      (stood !== undefined) === found ? { stands: undefined } : undefined;
    this.deeds.push({ from, to, effect });
  }
}

function publication(wanted: 'any' | 'absent') {
  return { path: PATH, durability: 'disk', condition: { if: wanted }, mayReplace: true } as const;
}

async function textOf(store: Store, options: { version?: string | undefined }): Promise<string> {
  const file = await store.open(PATH, options);
  try {
    const content = Buffer.alloc(file.entry.size);
    await file.read(content, 0, content.length);
    return content.toString();
  } finally {
    await file.close();
  }
}
