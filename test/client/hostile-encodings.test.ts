import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';

import { blockDigest, formatBlockDigest } from '../../src/transfer/digests.ts';
import { startScriptedServer, type Script } from '../support/scripted-server.ts';
import { temporaryDirectory } from '../support/test-server.ts';
import { zstdFrame } from '../support/zstd-frame.ts';
import { connectorTo, failureOf, fetchTo, MIB, NEVER } from './setting.ts';

const block = Buffer.alloc(MIB, 'of these words there are many, ');
const digest = formatBlockDigest('sha256', blockDigest('sha256', block));
const ATTRIBUTES = { 'mtime-ms': 0, mode: 0o644, etag: 'e' };
const ENCODERS = { zstd: zstdCompressSync, gzip: gzipSync };

interface Sent {
  contentEncoding: string;
  content: Buffer;
  length?: unknown;
}

/** A server whose file of two blocks begins with that, and whose small file is that. */
function sending({ contentEncoding, content, length = MIB }: Sent): Script {
  const encoded = { contentEncoding, content };
  return {
    get: async ({ header, answer }) => {
      const isWhole = header['path'] === 'small';
      const fields = { ...ATTRIBUTES, size: isWhole ? MIB : 2 * MIB };
      if (isWhole) return answer({ status: 'ok', ...fields, digest, 'decoded-length': length }, encoded);
      await answer({ status: 'more', ...fields });
      await answer({ status: 'block', index: 0, digest, 'decoded-length': length }, encoded);
      await answer({ status: 'block', index: 1, digest }, { content: block });
      await answer({ status: 'ok' });
    },
  };
}

/** Fetches that, and tells with what error of each of the ways; nothing appears but a part. */
async function failures(sent: Sent, { compress = true } = {}) {
  const { address, pin } = await startScriptedServer(sending(sent));
  const connector = connectorTo(address, pin, { compress });
  const directory = await temporaryDirectory();
  const codes = [];
  for (const path of ['small', 'large']) {
    const fetching = fetchTo(connector, path, join(directory, path), { retry: NEVER });
    codes.push((await failureOf(fetching)).code);
  }
  codes.push((await failureOf((await connector.use()).get('small'))).code);
  expect((await readdir(directory)).filter((name) => !name.endsWith('.part'))).toEqual([]);
  return [...new Set(codes)];
}

test.each(['zstd', 'gzip'] as const)(
  'the script of these tests can be honest in %s',
  async (contentEncoding) => {
    const { address, pin } = await startScriptedServer(
      sending({ contentEncoding, content: ENCODERS[contentEncoding](block) }),
    );
    const connector = connectorTo(address, pin, { compress: true });
    const directory = await temporaryDirectory();
    for (const path of ['small', 'large']) await fetchTo(connector, path, join(directory, path));
    expect((await (await connector.use()).get('small')).content.equals(block)).toBe(true);
  },
);

describe.each(['zstd', 'gzip'] as const)('a server that sends %s', (contentEncoding) => {
  const encode = ENCODERS[contentEncoding];
  const content = encode(block);
  const bomb = encode(Buffer.alloc(64 * MIB));

  test.each<[string, Omit<Sent, 'contentEncoding'>]>([
    ['a bomb', { content: bomb }],
    ['a bomb that says it is empty', { content: bomb, length: 0 }],
    ['a byte more than it says', { content: encode(Buffer.alloc(MIB + 1, block)) }],
    ['a byte less than it says', { content: encode(block.subarray(1)) }],
    ['more than a block', { content, length: MIB + 1 }],
    ['no length', { content, length: null }],
    ['a length that is a text', { content, length: '1048576' }],
    ['half of it', { content: content.subarray(0, content.length / 2) }],
    ['something else', { content: Buffer.from('neither of them') }],
  ])('%s is found out', async (_, sent) => {
    expect(await failures({ contentEncoding, ...sent })).toEqual(['protocol-violation']);
  });

  test('to a client that did not ask for it is found out', async () => {
    expect(await failures({ contentEncoding, content }, { compress: false })).toEqual(['protocol-violation']);
  });

  test('what decodes to other bytes is found out', async () => {
    const other = encode(Buffer.alloc(MIB, 'other words, '));
    expect(await failures({ contentEncoding, content: other })).toEqual(['digest-mismatch']);
  });
});

test('an encoding that nobody offered is found out', async () => {
  expect(await failures({ contentEncoding: 'br', content: block })).toEqual(['protocol-violation']);
});

test('a frame that asks for a window of 128 MiB is found out', async () => {
  const sent = { contentEncoding: 'zstd', content: zstdFrame(27, 8) };
  expect(await failures(sent)).toEqual(['protocol-violation']);
  expect(await failures({ ...sent, content: zstdFrame(23, 8) })).toEqual(['digest-mismatch']);
});
