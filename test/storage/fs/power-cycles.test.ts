import { hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Random } from '../../../src/random.ts';
import type { FileStore } from '../../../src/storage/fs/fs-store.ts';
import { isWithin } from '../../../src/transfer/remote-path.ts';
import {
  ABSENT,
  ANY,
  contentOf,
  publication,
  putText,
  record,
  uploadOf,
  uploadOptions,
} from '../../contract/store/samples.ts';
import { effort, held } from '../../support/cases.ts';
import { DISK_ROOT, ModelDisk } from '../../support/disk/model-disk.ts';
import { between, pick, trialRandom } from '../../support/seeded.ts';
import { hashIn, pathIn, standing } from './standing.ts';
import { dying, KEPT, opened, type Trial } from './trials.ts';

const DIRECTORIES = ['', 'd', 'd/e', 'g', 'g/e'];
const FILES = DIRECTORIES.flatMap((directory) =>
  ['a', 'b'].map((name) => `${directory}/${name}`.replace(/^\//, '')),
);

describe.each(KEPT)('%s', (_, keepVersionsMs) => {
  test('a store that loses power again and again loses nothing of what it promised', async (context) => {
    const random = trialRandom(context);
    for (let life = 0; life < effort(25, 4_000); life += 1) {
      let disk = new ModelDisk();
      const known = new Known();
      for (let cycle = 1; cycle <= 12; cycle += 1) {
        const trial = await opened(disk, keepVersionsMs, { life: life * 100 + cycle });
        const story: string[] = [];
        // Some live until the power fails while nothing happens.
        const last = pick(random, [between(random, 0, 40), between(random, 40, 400)]);
        const { failure, isOver } = await dying(trial, last, async () => {
          for (let count = between(random, 1, 20); count > 0; count -= 1)
            await somethingAt(trial.store, known, random, story);
        });
        const where = `life ${life}, cycle ${cycle}: ${story.join('; ')}; dead after call ${last}`;
        if (isOver) expect(failure, where).toBeUndefined();
        disk = disk.afterPowerFailure({ random, survival: pick(random, [0, 1, random.fraction()]) });
        await expectKnown(disk, known, where);
        if (keepVersionsMs > 0) await expectVersions(await opened(disk, keepVersionsMs), known, where);
        held(context, 'power failures');
      }
    }
  });
});

/** What may stand under a path when the power comes back. */
interface State {
  /** Hash of what a reader finds now. */
  now: string | undefined;
  may: Set<string | undefined>;
  /** It was made new in memory, and may hold anything. */
  isTorn: boolean;
}

/** What is known of all paths. */
class Known {
  readonly states = new Map<string, State>();
  /** What was on the disk for certain at any time. */
  readonly durable = new Set<string>();

  constructor() {
    for (const path of FILES) this.found(path, undefined);
  }

  at(path: string): State {
    return this.states.get(path) as State;
  }

  /** Nothing else is there, and nothing else will be. */
  found(path: string, now: string | undefined): void {
    this.states.set(path, { now, may: new Set([now]), isTorn: false });
    if (now !== undefined) this.durable.add(now);
  }

  below(directory: string): [string, State][] {
    return [...this.states].filter(([path]) => isWithin(path, directory));
  }
}

type Deed = (store: FileStore, known: Known, random: Random) => Promise<string>;

/** Does one thing, about which everything is known before it begins and once it is done. */
async function somethingAt(store: FileStore, known: Known, random: Random, story: string[]): Promise<void> {
  story.push('…');
  story[story.length - 1] = await pick(random, DEEDS)(store, known, random);
}

const putOrUpload: Deed = async (store, known, random) => {
  const path = pick(random, FILES);
  const durability = pick(random, ['disk', 'memory'] as const);
  const text = `content ${random.bytes(8).toString('hex')}`;
  const state = known.at(path);
  const isNew = state.now === undefined;
  state.may.add(hash('sha256', text));
  if (isNew && durability === 'memory') state.isTorn = true;
  const options = { durability, ...(isNew ? pick(random, [ANY, ABSENT]) : ANY) };
  const isUpload = random.fraction() < 0.5;
  if (isUpload) {
    const size = text.length;
    const upload = await uploadOf(store, uploadOptions(path, { size }), { 0: Buffer.from(text) });
    await upload.publish(publication(path, options), size, record(path, size, { durability }));
  } else await putText(store, path, text, options);
  state.now = hash('sha256', text);
  if (durability === 'disk') known.found(path, state.now);
  return `${isUpload ? 'upload' : 'put'} ${path} ${durability}`;
};

const remove: Deed = async (store, known, random) => {
  const path = pick(random, [...FILES, 'd', 'd/e', 'g']);
  const below = known.below(path);
  if (below.every(([, { now }]) => now === undefined)) return `no ${path}`;
  for (const [, { may }] of below) may.add(undefined);
  await store.remove(path, { recursive: true });
  for (const [, state] of below) state.now = undefined;
  return `remove ${path}`;
};

const moveFile: Deed = async (store, known, random) => {
  const [from, to] = [pick(random, FILES), pick(random, FILES)];
  const [source, target] = [known.at(from), known.at(to)];
  const { now } = source;
  if (now === undefined || from === to) return `no ${from}`;
  const isTorn = source.isTorn && target.now === undefined;
  target.may.add(now);
  target.isTorn ||= isTorn;
  source.may.add(undefined);
  await store.move(from, to, ANY);
  known.found(from, undefined);
  if (isTorn) known.states.set(to, { now, may: new Set([now]), isTorn });
  else known.found(to, now);
  return `move ${from} to ${to}`;
};

const moveDirectory: Deed = async (store, known, random) => {
  const [from, to] = pick(random, [
    ['d', 'g'],
    ['g', 'd'],
  ] as const);
  const isThere = (path: string) => known.below(path).some(([, { now }]) => now !== undefined);
  if (!isThere(from) || (await store.stat(to).catch(() => undefined)) !== undefined)
    return `no move of ${from}`;
  const moved = known.below(from).map(([path, state]) => {
    const target = `${to}${path.slice(from.length)}`;
    return { path, target, state: { ...state, may: new Set(state.may) } };
  });
  for (const { path, target, state } of moved) {
    for (const each of state.may) known.at(target).may.add(each);
    known.at(target).isTorn ||= state.isTorn;
    known.at(path).may.add(undefined);
  }
  await store.move(from, to, ABSENT);
  for (const { path } of moved) known.found(path, undefined);
  for (const { target, state } of moved) known.states.set(target, state);
  return `move ${from} to ${to}`;
};

const sync: Deed = async (store, known) => {
  await store.sync(FILES);
  for (const [path, { now }] of [...known.states]) known.found(path, now);
  return 'sync';
};

const makeDirectory: Deed = async (store, _, random) => {
  const path = pick(random, DIRECTORIES);
  await store.mkdir(path, {});
  return `mkdir ${path}`;
};

const DEEDS = [putOrUpload, putOrUpload, putOrUpload, remove, moveFile, moveDirectory, sync, makeDirectory];

/** Everything is as it may be; and it is so for good, the disk having been read. */
async function expectKnown(disk: ModelDisk, known: Known, where: string): Promise<void> {
  const { files } = await standing(disk, DISK_ROOT);
  const found = new Map(files.map((line) => [pathIn(line).slice(1), hashIn(line)]));
  for (const path of FILES) {
    const now = found.get(path);
    const { may, isTorn } = known.at(path);
    if (!isTorn || now === undefined) expect([...may], `${path} in ${where}`).toContain(now);
    known.found(path, now);
  }
}

/** Where versions are kept, everything that was ever on the disk for certain is there. */
async function expectVersions({ store, disk }: Trial, known: Known, where: string): Promise<void> {
  const { files } = await standing(disk, DISK_ROOT);
  const contents = new Set(files.filter((line) => !line.startsWith('/.sealift')).map(hashIn));
  for await (const { path, version } of store.list('', { recursive: true, versions: true }))
    contents.add(hash('sha256', await contentOf(store, path, version)));
  for (const content of known.durable) expect(contents.has(content), where).toBe(true);
  await store[Symbol.asyncDispose]();
}
