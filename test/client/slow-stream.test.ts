import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { blockDigest, fileDigest, formatBlockDigest } from '../../src/transfer/digests.ts';
import { startScriptedServer, type ScriptedRequest } from '../support/scripted-server.ts';
import { temporaryDirectory } from '../support/test-server.ts';
import { connectorTo, fetchTo, MIB, noise, send } from './setting.ts';

const COUNT = 40;
const content = noise(COUNT * MIB);
const raws = Array.from({ length: COUNT }, (_, index) => blockDigest('sha256', blockAt(index)));
const STREAMS = { streams: 4 };

function blockAt(index: number): Buffer {
  return content.subarray(index * MIB, (index + 1) * MIB);
}

/** Lets a request pass, but those on the first connection only when `others` blocks have come on the others. */
function slowFirst(others: number) {
  const enough = Promise.withResolvers<void>();
  let first: unknown;
  const counts = { slow: 0, others: 0 };
  const pass = async ({ socket }: ScriptedRequest, blocks: number) => {
    first ??= socket;
    if (socket === first) {
      counts.slow += blocks;
      return enough.promise;
    }
    counts.others += blocks;
    if (counts.others >= others) enough.resolve();
  };
  return { counts, pass };
}

test.each([
  ['take blocks', false],
  ['write blocks, which it has received,', true],
])('a connection that is slow to %s leaves them to the others', async (_, tellsReceived) => {
  // Two are on their way on it, and a third is ready.
  const { counts, pass } = slowFirst(COUNT - 3);
  const digest = fileDigest('sha256', raws);
  const receipt = {
    path: 'file',
    size: content.length,
    digest,
    'mtime-ms': 0,
    etag: 'e',
    durability: 'disk',
  };
  const { address, pin } = await startScriptedServer({
    put: ({ answer }) => answer({ status: 'ok', upload: 'u', base: 'none' }),
    block: async (request) => {
      if (tellsReceived) await request.answer({ status: 'progress', received: true });
      await pass(request, 1);
      await request.answer({ status: 'ok' });
    },
    commit: ({ answer }) => answer({ status: 'ok', ...receipt }),
  });
  const file = join(await temporaryDirectory(), 'file');
  await writeFile(file, content);
  expect((await send(connectorTo(address, pin), file, 'file', STREAMS)).receipt.digest).toBe(digest);
  expect(counts).toEqual({ slow: 3, others: COUNT - 3 });
});

test('a connection that is slow to bring blocks leaves them to the others', async () => {
  // The first block, which tells what file it is; then ranges of two: two are asked for, and a third is to come.
  const { counts, pass } = slowFirst(COUNT - 1 - 3 * 2);
  const attributes = { size: content.length, 'mtime-ms': 0, mode: 0o644, etag: 'e' };
  const { address, pin } = await startScriptedServer({
    get: async (request) => {
      const { 'from-block': from = 0, 'block-count': count } = request.header as unknown as Record<
        string,
        number
      >;
      if (from > 0) await pass(request, count ?? 0);
      await request.answer({ status: 'more', ...attributes });
      for (let index = from; index < from + (count ?? 0); index += 1) {
        const digest = formatBlockDigest('sha256', raws[index] as Buffer);
        await request.answer({ status: 'block', index, digest }, { content: blockAt(index) });
      }
      await request.answer({ status: 'ok' });
    },
  });
  const target = join(await temporaryDirectory(), 'target');
  await fetchTo(connectorTo(address, pin), 'file', target, STREAMS);
  expect((await readFile(target)).equals(content)).toBe(true);
  expect(counts).toEqual({ slow: 6, others: COUNT - 7 });
});
