import { writeFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import type { Client } from '../../../src/client/client.ts';
import { checkTrees } from '../../../src/client/tree/check-trees.ts';
import { ContentDigests } from '../../../src/client/tree/content-digest.ts';
import { DigestRequests, type Ask } from '../../../src/client/tree/digest-requests.ts';
import type { TreeDirection } from '../../../src/client/tree/direction.ts';
import { EVERYTHING } from '../../../src/client/tree/tree-filter.ts';
import { nextTurn } from '../../../src/clock.ts';
import { encodeMessage } from '../../../src/protocol/encoder.ts';
import { MAX_CONTENT_BYTES } from '../../../src/protocol/limits.ts';
import { blockDigest, smallFileDigest } from '../../../src/transfer/digests.ts';
import { codeOf } from '../../contract/store/samples.ts';
import { headerOf, startMessageProxy, type Fate, type Frame } from '../../support/message-proxy.ts';
import {
  HELLO,
  startScriptedServer,
  type Script,
  type ScriptedRequest,
} from '../../support/scripted-server.ts';
import { temporaryDirectory } from '../../support/test-server.ts';
import { connectorTo, noise } from '../setting.ts';
import { copy, startTrees, WAYS, type Way } from './tree-setting.ts';

/** Bytes of the largest file that is asked about among others. */
const SMALL = 65_536;
const FILES = {
  ...Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`d${n % 7}/f${n}`, `${n % 50}`])),
  empty: '',
  large: noise(SMALL),
  larger: noise(SMALL + 1),
};

/** Two trees, and between them what sees each message, or makes another of it. */
async function startSeen(way: Way, onFrame: (frame: Frame) => Fate | undefined = () => undefined) {
  const trees = await startTrees(way, FILES, { ...FILES, 'd0/f0': 'x', larger: noise(SMALL + 1, 2) });
  const proxy = await startMessageProxy(trees.setting.server.address);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const asked: Record<string, number> = {};
  proxy.onFrame = (frame) => {
    const action = String(headerOf(frame)['action']);
    if (frame.way === 'up') asked[action] = (asked[action] ?? 0) + 1;
    return onFrame(frame) ?? { forward: frame.bytes };
  };
  const connector = () => connectorTo(proxy.address, proxy.pin);
  return { ...trees, asked, proxy, direction: () => trees.direction({ connector: connector() }) };
}

/** The server is one that has never heard of asking about many. */
function forgetting(frame: Frame): Fate | undefined {
  const header = headerOf(frame);
  const { features, ...rest } = header;
  if (!Array.isArray(features)) return undefined;
  const known = features.filter((feature) => feature !== 'file-digests');
  expect(known).not.toEqual(features);
  return { forward: encodeMessage({ fields: { ...rest, features: known } }) };
}

async function differences(direction: TreeDirection): Promise<string[]> {
  const onProblem = (error: Error) => {
    throw error;
  };
  const found = await Array.fromAsync(
    checkTrees(direction, { filter: EVERYTHING, isHopeless: () => true, onProblem }),
  );
  return found.map(({ path, kind }) => `${kind} ${path}`).sort();
}

describe.each(WAYS)('files compared by content (%s)', (way) => {
  test('are asked about many at once, if they are small', async () => {
    const { direction, asked } = await startSeen(way);
    expect(await differences(direction())).toEqual(['different d0/f0', 'different larger']);
    expect(asked['digests']).toBe(1);
    // 302 of 120 at most, and some more where files are found later than others.
    expect(asked['file-digests']).toBeGreaterThanOrEqual(3);
    expect(asked['file-digests']).toBeLessThan(30);
  });

  test('are asked about one by one where the server knows nothing else', async () => {
    const { direction, asked } = await startSeen(way, forgetting);
    expect(await differences(direction())).toEqual(['different d0/f0', 'different larger']);
    expect(asked).toMatchObject({ digests: Object.keys(FILES).length });
    expect(asked).not.toHaveProperty('file-digests');
  });

  test('are asked about again where the connection was cut', async () => {
    const requests = new Set<unknown>();
    let cuts = 0;
    const { direction, asked, proxy } = await startSeen(way, (frame) => {
      const { id, action } = headerOf(frame);
      if (action === 'file-digests') requests.add(id);
      if (frame.way === 'up' || cuts > 0 || !requests.has(id)) return undefined;
      cuts += 1;
      return { forward: Buffer.alloc(0), cut: 'rst' };
    });
    expect(await differences(direction())).toEqual(['different d0/f0', 'different larger']);
    expect(proxy.connections).toBe(2);
    expect(asked['file-digests']).toBeGreaterThan(1);
  });

  test('are moved where only their names differ', async () => {
    const { direction, asked, target } = await startSeen(way);
    for (const index of [7, 14, 21]) await rename(`${target}/d0/f${index}`, `${target}/d0/old${index}`);
    await rename(`${target}/large`, `${target}/old`);
    const { actions, told } = await copy(direction(), { plan: { detectRenames: true } });
    expect(told.failed).toEqual({});
    const moved = actions.filter(({ kind }) => kind === 'move').map(({ entry }) => entry.path);
    expect(moved.sort()).toEqual(['d0/f14', 'd0/f21', 'd0/f7', 'large']);
    expect(asked['file-digests']).toBe(1);
    expect(asked).not.toHaveProperty('digests');
  });
});

const digestOf = (text: string) =>
  smallFileDigest('sha256', text.length, blockDigest('sha256', Buffer.from(text)));
const pathsOf = ({ content }: Pick<ScriptedRequest, 'content'>) =>
  (JSON.parse(content.toString()) as { paths: string[] }).paths;
const saying = (digests: unknown) => ({
  content: Buffer.from(JSON.stringify({ digests })),
  contentType: 'text/json',
});

/** A server of which each file holds its path, but that tells `null` of those that begin with `by itself`. */
const HONEST: Script = {
  hello: ({ answer }) => answer({ ...HELLO, features: ['file-digests'] }),
  'file-digests': (request) =>
    request.answer(
      { status: 'ok' },
      saying(pathsOf(request).map((path) => (path.startsWith('by itself') ? null : digestOf(path)))),
    ),
  digests: ({ answer, header }) => {
    const path = String(header['path']);
    return path === 'by itself: gone'
      ? answer({ status: 'error', code: 'not-found', message: 'It is gone.', retryable: false })
      : answer({ status: 'ok', size: path.length, etag: 'e', digest: digestOf(path) });
  },
};

async function startDigests(script: Script, signal?: AbortSignal) {
  const server = await startScriptedServer({ ...HONEST, ...script });
  const connector = connectorTo(server.address, server.pin);
  const digests = new ContentDigests(
    async (question) => question(await connector.use(signal)),
    () => signal,
  );
  const asked = (action: string) => server.requests.filter(({ header }) => header['action'] === action);
  return { digests, asked, server };
}

test('what is asked for in one turn goes in as few requests as it fits', async () => {
  const { digests, asked } = await startDigests({});
  const paths = Array.from({ length: 1_000 }, (_, index) => `file ${index}`);
  expect(await Promise.all(paths.map((path) => digests.remote(path, 1)))).toEqual(paths.map(digestOf));
  expect(asked('file-digests').map((request) => pathsOf(request).length)).toEqual([
    ...Array<number>(8).fill(120),
    40,
  ]);
});

test('what is asked for meanwhile is gathered, and a full request is not held back', async () => {
  const held: ScriptedRequest[] = [];
  const { digests, asked, server } = await startDigests({
    'file-digests': (request) => void held.push(request),
  });
  const all: Promise<string>[] = [];
  const askFor = async (count: number) => {
    for (let index = 0; index < count; index += 1) all.push(digests.remote(`file ${all.length}`, 1));
    // What was sent before is there when this is answered.
    await nextTurn();
    await digests.remote('by itself', SMALL + 1);
  };
  for (let turn = 0; turn < 20; turn += 1) await askFor(1);
  expect(asked('file-digests')).toHaveLength(2);
  await askFor(120);
  expect(asked('file-digests').map((request) => pathsOf(request).length)).toEqual([1, 1, 120]);
  for (const request of held.splice(0)) await HONEST['file-digests']?.(request);
  while (asked('file-digests').length < 4) await digests.remote('by itself', SMALL + 1);
  for (const request of held) await HONEST['file-digests']?.(request);
  expect(await Promise.all(all)).toEqual(all.map((_, index) => digestOf(`file ${index}`)));
  expect(server.requests.length).toBeGreaterThan(4);
});

test('small local files are read some at a time, so that what else there is to do has its turn', async () => {
  const { digests } = await startDigests({});
  const path = join(await temporaryDirectory(), 'file');
  writeFileSync(path, 'text');
  // The connection comes about first.
  await digests.local(path, 4);
  let isOver = false;
  const reads = Array.from({ length: 320 }, () => digests.local(path, 4));
  const all = Promise.all(reads).finally(() => (isOver = true));
  let turns = 0;
  for (; !isOver; turns += 1) await nextTurn();
  expect(new Set(await all)).toEqual(new Set([digestOf('text')]));
  expect(turns).toBeGreaterThan(5);
});

test('paths fit a request, however long they are', async () => {
  const { digests, asked } = await startDigests({});
  const path = (index: number) =>
    `${Array<string>(16).fill('"'.repeat(255)).join('/')}/${index}`.slice(-4_096);
  const paths = Array.from({ length: 300 }, (_, index) => path(index));
  expect(await Promise.all(paths.map((each) => digests.remote(each, 1)))).toEqual(paths.map(digestOf));
  for (const { content } of asked('file-digests')) expect(content.length).toBeLessThan(MAX_CONTENT_BYTES);
});

test('a file of which nothing is told among others is asked for by itself, and fails by itself', async () => {
  const { digests, asked } = await startDigests({});
  const names = ['a', 'by itself', 'by itself: gone', 'b'];
  const outcomes = await Promise.allSettled(names.map((name) => digests.remote(name, 1)));
  expect(outcomes).toEqual([
    { status: 'fulfilled', value: digestOf('a') },
    { status: 'fulfilled', value: digestOf('by itself') },
    { status: 'rejected', reason: expect.objectContaining({ code: 'not-found' }) },
    { status: 'fulfilled', value: digestOf('b') },
  ]);
  expect(asked('file-digests')).toHaveLength(1);
});

test('an abort ends what was asked and what was still to be asked', async () => {
  const stop = new AbortController();
  const { digests, asked, server } = await startDigests({ 'file-digests': () => undefined }, stop.signal);
  const early = codeOf(digests.remote('early', 1));
  await server.requested('file-digests');
  const late = Array.from({ length: 50 }, () => codeOf(digests.remote('late', 1)));
  stop.abort();
  expect(new Set(await Promise.all([early, ...late]))).toEqual(new Set(['aborted']));
  expect(asked('file-digests').length).toBeLessThan(3);
});

test.each<[what: string, digests: unknown]>([
  ['too few', [digestOf('a')]],
  ['too many', ['a', 'b', 'c'].map(digestOf)],
  ['none', []],
  ['no list', 'a'],
  ['what is none', [digestOf('a'), 'sha256-1m:x']],
  ['those of other blocks', [digestOf('a'), digestOf('b').replace('-1m', '')]],
  ['those of another algorithm', ['a', 'b'].map((path) => digestOf(path).replace('sha256', 'blake3'))],
])('a server that tells %s breaks the protocol', async (_, told) => {
  const { digests } = await startDigests({
    'file-digests': ({ answer }) => answer({ status: 'ok' }, saying(told)),
  });
  const both = [digests.remote('a', 1), digests.remote('b', 1)].map(codeOf);
  expect(await Promise.all(both)).toEqual(['protocol-violation', 'protocol-violation']);
});

describe('of what is under way', () => {
  /** A client that answers nothing, and knows no other way than one by one unless `features` say so. */
  function muteClient(features: readonly string[]) {
    const requests: string[] = [];
    const client = {
      hello: { features },
      algorithm: 'blake3',
      request: (action: string) => {
        requests.push(action);
        return new Promise(() => undefined);
      },
    } as unknown as Client;
    const ask: Ask = (question) => question(client);
    return { ask, requests };
  }

  async function manyTurns(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
  }

  test('a request that is not full does not wait for full ones', async () => {
    const { ask, requests } = muteClient(['file-digests']);
    const digests = new DigestRequests(ask, () => undefined);
    for (let file = 0; file < 241; file += 1) void digests.digest(`${file}`);
    await manyTurns();
    expect(requests).toEqual(['file-digests', 'file-digests', 'file-digests']);
  });

  test('small files that have to be asked for by themselves leave places for other requests', async () => {
    const { ask, requests } = muteClient([]);
    const digests = new ContentDigests(ask, () => undefined);
    for (let file = 0; file < 2_048; file += 1) void digests.remote(`${file}`, 1);
    await manyTurns();
    expect(requests).toHaveLength(512);
  });
});
