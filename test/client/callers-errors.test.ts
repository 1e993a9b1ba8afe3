import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';

import { streamSink, type BlockSink } from '../../src/client/block-sink.ts';
import type { BlockSource } from '../../src/client/block-source.ts';
import { download } from '../../src/client/download.ts';
import { upload } from '../../src/client/upload.ts';
import type { UploadOptions } from '../../src/client/upload-options.ts';
import { AT_ONCE, failureOf, MIB, noise, send, startSetting } from './setting.ts';

/** What the program that uses the library throws. */
const THROWN = new Error('The scanner is on fire');
const fails = () => Promise.reject(THROWN);
const TOLD = {
  code: 'internal',
  retryable: false,
  cause: THROWN,
  message: 'Something failed that should not have: The scanner is on fire.',
};

const source: BlockSource = {
  size: 3 * MIB,
  mtimeMs: undefined,
  mode: undefined,
  isRepeatable: true,
  block: fails,
  release: () => undefined,
  assertUnchanged: async () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
};

test.each([1, 3])(
  'what a source of the caller throws ends an upload over %i streams at once',
  async (streams) => {
    const { connector } = await startSetting();
    const retried: unknown[] = [];
    const onRetry = (event: unknown) => void retried.push(event);
    const failure = await failureOf(upload(connector(), source, 'a', { retry: AT_ONCE, streams, onRetry }));
    expect(failure).toMatchObject(TOLD);
    expect(retried).toEqual([]);
  },
);

test.each([
  ['shorter than it says', 1_000, [20]],
  ['longer than it says', 10, [15]],
  ['of no size that there is', 1.5, [MIB]],
  ['a block short', 3 * MIB, [MIB, MIB]],
  ['short within', 3 * MIB, [MIB, MIB - 1, MIB]],
  ['a byte short', 3 * MIB, [MIB, MIB, MIB - 1]],
])('a source that is %s is not published, nor read again', async (_, size, lengths) => {
  const connector = (await startSetting()).connector();
  const retried: unknown[] = [];
  const block = async (index: number) => {
    const length = lengths[index];
    return length === undefined ? undefined : noise(length);
  };
  const options = { retry: AT_ONCE, onRetry: (event: unknown) => void retried.push(event) };
  const failure = await failureOf(upload(connector, { ...source, size, block }, 'a', options));
  expect(failure).toMatchObject({ code: 'source-changed', retryable: false });
  expect(retried).toEqual([]);
  expect(await failureOf((await connector.use()).stat('a'))).toMatchObject({ code: 'not-found' });
});

const progressFails = () => {
  throw THROWN;
};

test.each<[string, UploadOptions]>([
  ['onProgress', { onProgress: progressFails }],
  ['throttle', { throttle: fails }],
  ['beforePublishing', { beforePublishing: fails }],
])('what %s throws ends an upload at once', async (_, options) => {
  const setting = await startSetting();
  const connector = setting.connector();
  const sending = send(connector, await setting.local(noise(3 * MIB)), 'a', options);
  expect(await failureOf(sending)).toMatchObject(TOLD);
  expect((await connector.use()).isAlive).toBe(true);
});

test('what a sink of the caller throws ends a download at once', async () => {
  const setting = await startSetting();
  await setting.remote(noise(3 * MIB));
  const sink: BlockSink = { ...streamSink(new PassThrough()), isRepeatable: true, write: fails };
  const failure = await failureOf(download(setting.connector(), 'file', sink, { retry: AT_ONCE }));
  expect(failure).toMatchObject(TOLD);
});
