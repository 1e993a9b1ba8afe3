import { readdirSync, readlinkSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, test, vi } from 'vitest';

import { openFileSource, streamSource } from '../../src/client/block-source.ts';
import { PartialFile } from '../../src/client/partial-file.ts';
import { ResumeKeys } from '../../src/client/resume-keys.ts';
import { upload } from '../../src/client/upload.ts';
import { systemClock } from '../../src/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { AT_ONCE, failureOf, fetchTo, MIB, noise, send, startSetting, type Setting } from './setting.ts';

const SIZE = 6 * MIB + 5;
const content = noise(SIZE);

/** The files below `directory` that this process has open. */
function openFiles(directory: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(directory) ? [path] : [];
    } catch {
      // Closed since it was listed.
      return [];
    }
  });
}

type Options = Pick<
  Parameters<typeof fetchTo>[3] & object,
  'signal' | 'onProgress' | 'onRetry' | 'throttle' | 'clock'
>;

/** When the abort comes: what makes it come, as options of a transfer. */
const MOMENTS: Record<string, (abort: () => void, setting: Setting) => Options> = {
  'before the beginning': (abort) => {
    abort();
    return {};
  },
  'while it connects': (abort, { proxy }) => {
    proxy.faults = { blackhole: true };
    void (async () => {
      while (proxy.connections === 0) await new Promise((resolve) => setImmediate(resolve));
      abort();
    })();
    return {};
  },
  'after the first block': (abort) => ({ onProgress: ({ doneBytes }) => doneBytes >= MIB && abort() }),
  'in the middle': (abort) => ({ onProgress: ({ doneBytes }) => doneBytes >= 4 * MIB && abort() }),
  'while it waits for its rate': (abort) => ({
    throttle: () => {
      abort();
      return new Promise(() => undefined);
    },
  }),
  'while it waits to try again': (abort, { proxy }) => {
    proxy.faults = { cut: { afterBytes: MIB } };
    // A clock that stands still: the wait has no other end.
    return { onRetry: () => void Promise.resolve().then(abort), clock: new FakeClock() };
  },
  'while the server is silent': (abort, { proxy }) => {
    proxy.faults = { cut: { afterBytes: 3 * MIB, mode: 'silence' } };
    void (async () => {
      while (proxy.bytesUp + proxy.bytesDown < 3 * MIB) await new Promise((resolve) => setImmediate(resolve));
      abort();
    })();
    return {};
  },
};

describe.each(Object.entries(MOMENTS))('an abort %s', (_, moment) => {
  test('ends an upload, which can be resumed', async () => {
    const setting = await startSetting();
    const controller = new AbortController();
    const file = await setting.local(content);
    const resume = { keys: new ResumeKeys(join(setting.directory, 'keys')), name: 'it' };
    const connector = setting.connector({ clock: systemClock });
    const options = moment(() => controller.abort(), setting);
    const sending = send(connector, file, 'file', { ...options, signal: controller.signal, resume });
    expect((await failureOf(sending)).code).toBe('aborted');
    expect(openFiles(setting.directory)).toEqual([]);
    expect(await readdir(setting.root)).not.toContain('file');
    setting.proxy.faults = {};
    setting.proxy.cutAll();
    const result = await send(connector, file, 'file', { resume });
    expect(result.sentBytes + result.resumedBytes).toBe(SIZE);
    expect((await readFile(join(setting.root, 'file'))).equals(content)).toBe(true);
  });

  test('ends a download, which can be resumed', async () => {
    const setting = await startSetting();
    await setting.remote(content);
    const controller = new AbortController();
    const target = await setting.local(Buffer.from('precious'), 'target');
    const connector = setting.connector({ clock: systemClock });
    const options = moment(() => controller.abort(), setting);
    const fetching = fetchTo(connector, 'file', target, { ...options, signal: controller.signal });
    expect((await failureOf(fetching)).code).toBe('aborted');
    expect(openFiles(setting.directory)).toEqual([]);
    expect(await readFile(target, 'utf8')).toBe('precious');
    expect((await readdir(setting.directory)).filter((name) => name.endsWith('.lock'))).toEqual([]);
    setting.proxy.faults = {};
    setting.proxy.cutAll();
    const result = await fetchTo(connector, 'file', target);
    expect(result.receivedBytes + result.resumedBytes).toBe(SIZE);
    expect((await readFile(target)).equals(content)).toBe(true);
  });
});

test('an abort ends an upload whose stream brings nothing', async () => {
  const { connector } = await startSetting();
  const controller = new AbortController();
  const stream = new PassThrough();
  const sending = upload(connector(), streamSource(stream), 'file', {
    signal: controller.signal,
    onProgress: () => controller.abort(),
    retry: AT_ONCE,
  });
  stream.write(noise(MIB));
  expect((await failureOf(sending)).code).toBe('aborted');
});

test('an abort ends an upload that waits for room in memory, and leaves the room to others', async () => {
  const { connector } = await startSetting();
  const controller = new AbortController();
  const shared = connector();
  const giveBack = await shared.blocks.take(Infinity);
  const take = shared.blocks.take.bind(shared.blocks);
  shared.blocks.take = (...wanted) => {
    const taking = take(...wanted);
    controller.abort();
    return taking;
  };
  const source = streamSource(Readable.from([noise(MIB)]));
  const error = await failureOf(upload(shared, source, 'file', { signal: controller.signal }));
  expect(error.code).toBe('aborted');
  giveBack();
  await take(Infinity);
});

test('an abort before a small file is sent leaves what it would replace where it stands', async () => {
  const { connector, local } = await startSetting();
  const controller = new AbortController();
  const source = await openFileSource(await local(noise(5), 'x'));
  source.assertUnchanged = async () => controller.abort();
  const beforePublishing = vi.fn(() => Promise.resolve(undefined));
  const error = await failureOf(
    upload(connector(), source, 'file', { signal: controller.signal, beforePublishing }),
  );
  expect(error.code).toBe('aborted');
  expect(beforePublishing).not.toHaveBeenCalled();
  await source[Symbol.asyncDispose]();
});

test('an abort ends the hashing of what an earlier run left', async () => {
  const { local, directory } = await startSetting();
  await local(content, 'x');
  const partial = await PartialFile.open(join(directory, 'target'), 'file');
  await partial.write(0, noise(MIB));
  const error = await failureOf(partial.hash('sha256', SIZE, AbortSignal.abort()));
  await partial[Symbol.asyncDispose]();
  expect(error.code).toBe('aborted');
});
