import { open, readdir, readFile, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { ResumeKeys } from '../../src/client/resume-keys.ts';
import { SealiftError } from '../../src/errors.ts';
import {
  AT_ONCE,
  failureOf,
  fetchTo,
  MIB,
  NEVER,
  noise,
  send,
  startSetting,
  watchProgress,
} from './setting.ts';

const SIZE = 6 * MIB + 321;
const content = noise(SIZE);

describe('an upload that another run began', () => {
  /** A setting in which a first run has brought about half of the file, and the keys that it left. */
  async function halfSent() {
    const setting = await startSetting({ cut: { afterBytes: 4 * MIB, direction: 'up', times: 1 } });
    const file = await setting.local(content);
    const keys = new ResumeKeys(join(setting.directory, 'keys'));
    const options = { retry: NEVER, resume: { keys, name: `${file} to there` } };
    expect((await failureOf(send(setting.connector(), file, 'file', options))).code).toBe('connection-lost');
    return { ...setting, setting, file, options };
  }

  test('goes on with the same key, which is then forgotten', async () => {
    const { connector, file, options, root, directory } = await halfSent();
    const [key = ''] = await readdir(join(directory, 'keys'));
    expect((await stat(join(directory, 'keys', key))).mode & 0o777).toBe(0o600);
    const { events, onProgress } = watchProgress();
    const result = await send(connector(), file, 'file', { ...options, onProgress });
    expect(result.resumedBytes).toBeGreaterThanOrEqual(MIB);
    expect(result.sentBytes + result.resumedBytes).toBe(SIZE);
    expect(events.at(-1)).toMatchObject({ doneBytes: SIZE, resumedBytes: result.resumedBytes });
    expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
    expect(await readdir(join(directory, 'keys'))).toEqual([]);
  });

  test('counts what was found in place once, also when it is cut again', async () => {
    const { setting, connector, file, options } = await halfSent();
    setting.proxy.faults = { cut: { afterBytes: MIB + MIB / 2, direction: 'up', times: 1 } };
    const { events, onProgress } = watchProgress();
    const result = await send(connector(), file, 'file', { ...options, retry: AT_ONCE, onProgress });
    expect(result.retries).toBe(1);
    expect(result.resumedBytes).toBeGreaterThanOrEqual(2 * MIB);
    expect(events.at(-1)).toMatchObject({ doneBytes: SIZE, resumedBytes: result.resumedBytes });
  });

  test('begins anew with another key', async () => {
    const { connector, file, root } = await halfSent();
    const result = await send(connector(), file, 'file');
    expect(result).toMatchObject({ sentBytes: SIZE, resumedBytes: 0 });
    expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
  });

  test('sends what changed in the source since then, and never mixes the two', async () => {
    const { connector, file, options, root } = await halfSent();
    const handle = await open(file, 'r+');
    await handle.write(Buffer.from('changed'), 0, 7, 10);
    await handle.close();
    await send(connector(), file, 'file', options);
    expect((await readFile(join(root, 'file'))).equals(await readFile(file))).toBe(true);
  });

  test.each([
    ['zeros', (length: number) => Buffer.alloc(length)],
    ['garbage', (length: number) => noise(length, 9)],
  ])('is not believed where its data is %s after a crash', async (_, damage) => {
    const { setting, connector, file, options, root } = await halfSent();
    await setting.restart();
    const state = await readdir(root, { recursive: true, withFileTypes: true });
    for (const { name, parentPath } of state) {
      const path = join(parentPath, name);
      if ((await stat(path)).size < MIB) continue;
      const handle = await open(path, 'r+');
      await handle.write(damage(1_000), 0, 1_000, 500);
      await handle.close();
    }
    const result = await send(connector(), file, 'file', options);
    expect(result.sentBytes + result.resumedBytes).toBe(SIZE);
    expect((await readFile(join(root, 'file'))).equals(content)).toBe(true);
  });
});

describe('a download that another run began', () => {
  /** A setting in which a first run has fetched exactly four blocks. */
  async function halfFetched() {
    const setting = await startSetting();
    await setting.remote(content);
    const target = join(setting.directory, 'target');
    const stop = (blocks: number) => (bytes: number) =>
      (blocks -= bytes / MIB) >= 0
        ? Promise.resolve()
        : Promise.reject(new SealiftError('aborted', 'That is enough.'));
    const error = await failureOf(fetchTo(setting.connector(), 'file', target, { throttle: stop(4) }));
    expect(error.code).toBe('aborted');
    const names = await readdir(setting.directory);
    expect(names).toEqual([expect.stringMatching(/^\.sealift-[0-9a-f]{16}\.part$/)]);
    const part = join(setting.directory, names[0] ?? '');
    expect((await stat(part)).size).toBe(4 * MIB);
    return { ...setting, target, part };
  }

  async function damaged(part: string, at: number, bytes: Buffer): Promise<void> {
    const handle = await open(part, 'r+');
    await handle.write(bytes, 0, bytes.length, at);
    await handle.close();
  }

  test.each([
    { what: 'whole', damage: async () => undefined, resumed: 4 },
    {
      what: 'with a tail of zeros',
      damage: (p: string) => damaged(p, 3 * MIB, Buffer.alloc(MIB)),
      resumed: 3,
    },
    { what: 'with zeros beyond what was written', damage: (p: string) => truncate(p, SIZE), resumed: 4 },
    {
      what: 'with a tail of garbage',
      damage: (p: string) => damaged(p, 4 * MIB - 5, noise(9, 3)),
      resumed: 3,
    },
    {
      what: 'with a hole in the middle',
      damage: (p: string) => damaged(p, MIB, Buffer.alloc(2 * MIB)),
      resumed: 2,
    },
    {
      what: 'longer than the file',
      damage: (p: string) => damaged(p, 4 * MIB, noise(5 * MIB, 4)),
      resumed: 4,
    },
    { what: 'of another file', damage: (p: string) => damaged(p, 0, noise(4 * MIB, 5)), resumed: 0 },
    { what: 'cut within a block', damage: (p: string) => truncate(p, 2 * MIB + 1), resumed: 2 },
    { what: 'shorter than a block', damage: (p: string) => truncate(p, 1_000), resumed: 0 },
    { what: 'gone', damage: (p: string) => rm(p), resumed: 0 },
  ])('is taken for what it holds: $what', async ({ damage, resumed }) => {
    const { connector, target, part, directory } = await halfFetched();
    await damage(part);
    const { events, onProgress } = watchProgress();
    const result = await fetchTo(connector(), 'file', target, { onProgress });
    expect((await readFile(target)).equals(content)).toBe(true);
    expect(result).toMatchObject({ resumedBytes: resumed * MIB, receivedBytes: SIZE - resumed * MIB });
    expect(events.at(-1)).toMatchObject({ doneBytes: SIZE, resumedBytes: resumed * MIB });
    expect(await readdir(directory)).toEqual(['target']);
  });

  test.each([
    { what: 'smaller', now: noise(2 * MIB + 5) },
    { what: 'of one block', now: noise(MIB, 8) },
    { what: 'tiny', now: noise(3, 8) },
    { what: 'empty', now: Buffer.alloc(0) },
    { what: 'larger', now: noise(9 * MIB) },
    { what: 'another', now: noise(SIZE, 8) },
  ])('fetches the file that stands there now: $what', async ({ now }) => {
    const { connector, target, remote } = await halfFetched();
    await remote(now);
    const result = await fetchTo(connector(), 'file', target);
    expect((await readFile(target)).equals(now)).toBe(true);
    expect(result.resumedBytes + result.receivedBytes).toBe(now.length);
  });

  test('does not serve for another remote file', async () => {
    const { connector, target, remote } = await halfFetched();
    await remote(noise(SIZE, 6), 'other');
    const result = await fetchTo(connector(), 'other', target);
    expect(result.resumedBytes).toBe(0);
  });
});
