import { sleep, type Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import type { Random } from '../random.ts';
import type { Store, StoredFile, StoredUpload } from '../storage/store.ts';

/**
 * How a store can misbehave. `no-space`: the disk is full, and what is there can still be read and removed.
 * `slow-disk`: each step on the disk takes 200 ms longer. `busy`: one
 * in five steps, drawn at random, is put off.
 */
export type Misbehaviour = 'no-space' | 'slow-disk' | 'busy';

const SLOW_MS = 200;
/** A request takes some three steps: half of all requests are put off. */
const BUSY_SHARE = 0.2;
const RETRY_AFTER_MS = 200;

/** `store` with faults, to see what clients make of them. What it publishes is as whole as ever; housekeeping goes on undisturbed. */
export function misbehaving(
  store: Store,
  kinds: ReadonlySet<Misbehaviour>,
  { clock, random }: { clock: Clock; random: Random },
): Store {
  const step = async () => {
    if (kinds.has('slow-disk')) await sleep(clock, SLOW_MS);
  };
  const request = async () => {
    if (kinds.has('busy') && random.fraction() < BUSY_SHARE) throw busy();
    await step();
  };
  const room = async () => {
    if (kinds.has('no-space')) throw noSpace();
    await step();
  };
  const change = async () => {
    await request();
    if (kinds.has('no-space')) throw noSpace();
  };
  return {
    features: store.features,
    stat: (...args) => request().then(() => store.stat(...args)),
    nearest: (...args) => request().then(() => store.nearest(...args)),
    async *list(...args) {
      await request();
      yield* store.list(...args);
    },
    open: (...args) => request().then(async () => slowFile(await store.open(...args), step)),
    put: (...args) => change().then(() => store.put(...args)),
    openUpload: (...args) =>
      request().then(async () => faultyUpload(await store.openUpload(...args), step, room)),
    remove: (...args) => request().then(() => store.remove(...args)),
    move: (...args) => request().then(() => store.move(...args)),
    mkdir: (...args) => change().then(() => store.mkdir(...args)),
    set: (...args) => request().then(() => store.set(...args)),
    symlink: (...args) => change().then(() => store.symlink(...args)),
    sync: (...args) => step().then(() => store.sync(...args)),
    uploads: () => store.uploads(),
    discardUpload: (...args) => store.discardUpload(...args),
    published: (...args) => store.published(...args),
    forgetPublished: (...args) => store.forgetPublished(...args),
    expireVersions: (...args) => store.expireVersions(...args),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

type Step = () => Promise<void>;

function slowFile(file: StoredFile, step: Step): StoredFile {
  return {
    entry: file.entry,
    read: (...args) => step().then(() => file.read(...args)),
    assertUnchanged: () => file.assertUnchanged(),
    close: () => file.close(),
  };
}

function faultyUpload(upload: StoredUpload, step: Step, room: Step): StoredUpload {
  return {
    base: upload.base,
    held: upload.held,
    write: (...args) => room().then(() => upload.write(...args)),
    publish: (...args) => step().then(() => upload.publish(...args)),
    close: () => upload.close(),
    discard: () => upload.discard(),
  };
}

function busy(): SealiftError {
  return new SealiftError('busy', 'The server is busy, on purpose (serve --chaos busy).', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}

function noSpace(): SealiftError {
  return new SealiftError('no-space', 'The disk is full, on purpose (serve --chaos no-space).');
}
