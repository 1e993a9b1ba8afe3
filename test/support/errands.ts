import { createReadStream } from 'node:fs';
import { join } from 'node:path';

import { streamSource } from '../../src/client/block-source.ts';
import type { Client } from '../../src/client/client.ts';
import type { Connector } from '../../src/client/connector.ts';
import { acquireLease } from '../../src/client/lease.ts';
import { PartialFile } from '../../src/client/partial-file.ts';
import { ResumeKeys } from '../../src/client/resume-keys.ts';
import type { TransferOptions } from '../../src/client/transfer-options.ts';
import { GetTree } from '../../src/client/tree/get-tree.ts';
import { PutTree } from '../../src/client/tree/put-tree.ts';
import { syncTree } from '../../src/client/tree/sync-tree.ts';
import { upload } from '../../src/client/upload.ts';
import type { UploadOptions } from '../../src/client/upload-options.ts';
import { systemRandom } from '../../src/random.ts';
import { blockDigest, formatBlockDigest } from '../../src/transfer/digests.ts';
import { fetchTo, MIB, noise, send } from '../client/setting.ts';
import type { Planted } from './planted-tree.ts';

/** As `plantTree` takes it. */
export type Tree = Readonly<Record<string, Planted>>;

/** Where an errand is run. */
export interface Place {
  /** Speaks with the server over the line that is to be disturbed. */
  connector: Connector;
  /** Speaks with it over a line that is sound. */
  direct: Connector;
  /** The directory of the errand on the server, as a path there. */
  top: string;
  /** Its directory on this machine. */
  local: string;
  /** Where a program keeps what it remembers. */
  state: string;
  /** How to try again. */
  transfer: TransferOptions;
}

/** What stands on both sides. */
interface Sides {
  remote: Tree;
  local: Tree;
}

/** Something that a client does with a server. */
export interface Errand {
  name: string;
  before: Sides;
  /** When it is done. */
  after: Sides;
  /** What else has to be so before. */
  prepare?: (place: Place) => Promise<void>;
  /** Does it. What comes otherwise than it should is thrown as an `Error` that is none of the program's. */
  run: (place: Place) => Promise<void>;
  /** Whether the client tries again by itself; else whoever asked is told. */
  isRetried: boolean;
}

const SMALL = noise(1_000);
const LARGE = noise(2 * MIB + 5);
const OTHER = noise(2 * MIB + 5, 2);
/** As large, and but for the middle the same. */
const CHANGED = Buffer.concat([
  LARGE.subarray(0, MIB),
  OTHER.subarray(MIB, 2 * MIB),
  LARGE.subarray(2 * MIB),
]);
/** So long names that their listing has several pages. */
const MANY: Tree = Object.fromEntries(
  Array.from({ length: 260 }, (_, index) => [
    `${'a'.repeat(250)}/${'b'.repeat(250)}/${'c'.repeat(250)}${index}`,
    '',
  ]),
);
const TREE: Tree = {
  small: SMALL,
  large: LARGE,
  empty: '',
  'a/b/deep': 'deep',
  'a/link': { link: '../small' },
};
const FORMER_TREE: Tree = { small: 'another', removed: SMALL, 'gone/below': 'gone' };

/** At least one for each exchange of messages that the protocol knows. */
export const ERRANDS: readonly Errand[] = [
  putting('an empty file', Buffer.alloc(0)),
  putting('a small file', SMALL),
  putting('a small file over another', SMALL, { former: 'another' }),
  putting('a small file where none may stand', SMALL, { options: { if: 'absent' } }),
  putting('a file in blocks', LARGE),
  putting('a file in blocks over another', LARGE, { former: OTHER }),
  putting('a file in blocks where none may stand', LARGE, { options: { if: 'absent' } }),
  putting('what changed of a file', CHANGED, { former: LARGE, options: { base: 'existing' } }),
  putting('a file over two connections', LARGE, { options: { streams: 2 } }),
  {
    ...putting('a stream', LARGE),
    run: async ({ connector, local, top, transfer }) => {
      const source = streamSource(createReadStream(join(local, 'file')));
      await upload(connector, source, `${top}/file`, transfer);
      await source[Symbol.asyncDispose]();
    },
  },
  goingOn('whose connection is gone', { isAlive: false }),
  goingOn('whose connection lives', { isAlive: true }),
  getting('an empty file', Buffer.alloc(0)),
  getting('a small file', SMALL),
  getting('a file in blocks', LARGE),
  getting('a file over two connections', LARGE, { options: { streams: 2 } }),
  getting('the rest of a file', LARGE, {
    prepare: async ({ top, local }) => {
      const partial = await PartialFile.open(join(local, 'file'), `${top}/file`);
      await partial.write(0, Buffer.from(LARGE.subarray(0, MIB)));
      await partial[Symbol.asyncDispose]();
    },
  }),
  {
    name: 'sync a tree to the server',
    before: { remote: FORMER_TREE, local: TREE },
    after: { remote: TREE, local: TREE },
    run: async (place) => {
      await syncing(new PutTree(treesOf(place)));
    },
    isRetried: true,
  },
  {
    name: 'sync a tree from the server',
    before: { remote: TREE, local: FORMER_TREE },
    after: { remote: TREE, local: TREE },
    run: async (place) => {
      await syncing(new GetTree(treesOf(place)));
    },
    isRetried: true,
  },
  {
    name: 'hold a lock',
    before: { remote: {}, local: {} },
    after: { remote: {}, local: {} },
    run: async ({ connector, direct, top, transfer }) => {
      const lease = await acquireLease(connector, top, { ...transfer, random: WITHOUT_WAITING });
      await lease.release();
      // Throws as long as somebody else holds it.
      await (await direct.use()).lock(top, { ttlMs: 1 });
    },
    isRetried: true,
  },
  asking('list many files', MANY, async (client, top) => {
    let count = 0;
    for await (const { type } of client.list(top, { recursive: true })) if (type === 'file') count += 1;
    assertSame(count, Object.keys(MANY).length);
  }),
  asking('search many files', MANY, async (client, top) => {
    let count = 0;
    for await (const path of client.search('ccc')) if (path.startsWith(`${top}/`)) count += 1;
    assertSame(count, Object.keys(MANY).length);
  }),
  asking('look at a file', { file: SMALL }, async (client, top) => {
    assertSame((await client.stat(`${top}/file`, { digest: true })).size, SMALL.length);
    assertSame((await client.get(`${top}/file`)).content.equals(SMALL), true);
    assertSame((await client.request('digests', { path: `${top}/file` })).header['size'], SMALL.length);
    assertSame((await client.echo(SMALL)).equals(SMALL), true);
  }),
  changing('remove a file', (client, top) => client.remove(`${top}/file`), {
    before: { file: SMALL },
    after: {},
  }),
  changing('remove a tree', (client, top) => client.remove(`${top}/tree`, { recursive: true }), {
    before: { 'tree/a/b': SMALL, 'tree/c': 'c' },
    after: {},
  }),
  changing('move a file over another', (client, top) => client.move(`${top}/file`, `${top}/moved`), {
    before: { file: SMALL, moved: 'another' },
    after: { moved: SMALL },
  }),
  changing('make a directory', (client, top) => client.mkdir(`${top}/made`), {
    before: {},
    after: { 'made/': '' },
  }),
  changing('make a link', (client, top) => client.symlink(`${top}/link`, 'nowhere'), {
    before: {},
    after: { link: { link: 'nowhere' } },
  }),
  changing('put a small file, and sync', putAndSync, { before: {}, after: { file: SMALL } }),
];

/** Jitter that never waits. */
const WITHOUT_WAITING = { ...systemRandom, fraction: () => 0 };

function putting(
  what: string,
  content: Buffer,
  { former, options }: { former?: Planted; options?: UploadOptions } = {},
): Errand {
  return {
    name: `put ${what}`,
    before: { remote: former === undefined ? {} : { file: former }, local: { file: content } },
    after: { remote: { file: content }, local: { file: content } },
    run: async ({ connector, local, top, transfer }) => {
      await send(connector, join(local, 'file'), `${top}/file`, { ...transfer, ...options });
    },
    isRetried: true,
  };
}

/** Goes on with what another client has begun that knew the same key. */
function goingOn(what: string, { isAlive }: { isAlive: boolean }): Errand {
  const resumeOf = ({ state, top }: Place) => ({ keys: new ResumeKeys(join(state, 'keys')), name: top });
  return {
    ...putting(`the rest of an upload ${what}`, LARGE),
    prepare: async (place) => {
      const { keys, name } = resumeOf(place);
      const resumeKey = await keys.keyFor(name, systemRandom);
      const client = await place.direct.use();
      const begun = await client.request('put', { path: `${place.top}/file`, size: LARGE.length, resumeKey });
      const content = Buffer.from(LARGE.subarray(0, MIB));
      const digest = formatBlockDigest(client.algorithm, blockDigest(client.algorithm, content));
      await client.request(
        'block',
        { upload: String(begun.header['upload']), index: 0, digest },
        { content },
      );
      if (!isAlive) await client[Symbol.asyncDispose]();
    },
    run: async (place) => {
      const { connector, local, top, transfer } = place;
      await send(connector, join(local, 'file'), `${top}/file`, { ...transfer, resume: resumeOf(place) });
    },
  };
}

function getting(
  what: string,
  content: Buffer,
  { prepare, options }: { prepare?: Errand['prepare']; options?: TransferOptions } = {},
): Errand {
  return {
    name: `get ${what}`,
    before: { remote: { file: content }, local: {} },
    after: { remote: { file: content }, local: { file: content } },
    ...(prepare === undefined ? {} : { prepare }),
    run: async ({ connector, local, top, transfer }) => {
      await fetchTo(connector, `${top}/file`, join(local, 'file'), { ...transfer, ...options });
    },
    isRetried: true,
  };
}

function treesOf({ connector, local, top, transfer }: Place) {
  return { ...transfer, connector, root: local, top };
}

async function syncing(direction: PutTree | GetTree): Promise<void> {
  let failure: unknown;
  const observer = { onFailed: (error: unknown) => void (failure ??= error) };
  const isComplete = await syncTree(direction, { rules: { delete: true }, observer });
  if (!isComplete) throw failure;
}

/** A question of which the answer is checked. */
function asking(name: string, tree: Tree, ask: (client: Client, top: string) => Promise<void>): Errand {
  return {
    name,
    before: { remote: tree, local: {} },
    after: { remote: tree, local: {} },
    run: async ({ connector, top }) => ask(await connector.use(), top),
    isRetried: false,
  };
}

function changing(
  name: string,
  change: (client: Client, top: string) => Promise<void>,
  { before, after }: { before: Tree; after: Tree },
): Errand {
  return {
    name,
    before: { remote: before, local: {} },
    after: { remote: after, local: {} },
    run: async ({ connector, top }) => change(await connector.use(), top),
    isRetried: false,
  };
}

async function putAndSync(client: Client, top: string): Promise<void> {
  await client.put(`${top}/file`, SMALL, { durability: 'memory' });
  await client.sync();
}

function assertSame(found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${String(found)} came where ${String(wanted)} was to come`);
}
