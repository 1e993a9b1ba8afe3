import {
  appendFileSync,
  closeSync,
  openSync,
  renameSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { readdir, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import type { TransferProgress } from '../../src/client/transfer-progress.ts';
import { ResumeKeys } from '../../src/client/resume-keys.ts';
import { failureOf, fetchTo, MIB, noise, send, startSetting } from './setting.ts';

const SIZE = 6 * MIB + 11;
const content = noise(SIZE);
// More than all buffers on the way hold: the server cannot be done with it before the receiver takes the rest.
const large = noise(32 * MIB);
/** The file was written long ago, so that a change shows in its time however coarse the file system's clock is. */
const LONG_AGO = new Date('2001-01-01');

function overwrite(path: string, at: number, text: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, text, at);
  closeSync(file);
}

/** Calls `change` once, as soon as `blocks` are done. */
function whenDone(blocks: number, change: () => void) {
  let isChanged = false;
  return ({ doneBytes }: TransferProgress) => {
    if (isChanged || doneBytes < blocks * MIB) return;
    isChanged = true;
    change();
  };
}

describe('a source that changes while it is sent', () => {
  test.each([
    ['grows', (path: string) => appendFileSync(path, 'more')],
    ['shrinks', (path: string) => truncateSync(path, 5 * MIB + 1)],
    ['vanishes but for a block', (path: string) => truncateSync(path, MIB)],
    ['is written to where it was read already', (path: string) => overwrite(path, 5, 'changed')],
    ['is written to where it is still to be read', (path: string) => overwrite(path, SIZE - 9, 'changed')],
  ])('%s: nothing is published', async (_, change) => {
    const { connector, local, root } = await startSetting();
    const file = await local(content);
    await utimes(file, LONG_AGO, LONG_AGO);
    const sending = send(connector(), file, 'file', { onProgress: whenDone(2, () => change(file)) });
    expect(await failureOf(sending)).toMatchObject({ code: 'source-changed', hint: expect.any(String) });
    expect(await readdir(root)).not.toContain('file');
  });

  test('is sent whole when it is sent again', async () => {
    const { connector, local, root, directory } = await startSetting();
    const file = await local(content);
    await utimes(file, LONG_AGO, LONG_AGO);
    const resume = { keys: new ResumeKeys(join(directory, 'keys')), name: 'it' };
    const change = whenDone(2, () => overwrite(file, 5, 'changed'));
    expect((await failureOf(send(connector(), file, 'file', { resume, onProgress: change }))).code).toBe(
      'source-changed',
    );
    const again = await send(connector(), file, 'file', { resume });
    expect(again.resumedBytes).toBeGreaterThan(0);
    expect((await readFile(join(root, 'file'))).equals(await readFile(file))).toBe(true);
  });
});

// In /proc, which only Linux has, every file has no size, and a content when it is read.
test.runIf(process.platform === 'linux')(
  'a file of which the system tells less than there is fails, and nothing is published',
  async () => {
    const { connector, root } = await startSetting();
    const { code, message, hint } = await failureOf(send(connector(), '/proc/version', 'file'));
    expect([code, message]).toEqual(['local-file', expect.stringContaining('/proc/version')]);
    expect(hint).toContain('| sealift put -');
    expect(await readdir(root)).not.toContain('file');
  },
);

describe('a remote file that changes while it is fetched', () => {
  const nearlyTheSame = Buffer.from(content);
  nearlyTheSame.write('changed', 3 * MIB + 5);

  test.each([
    ['the same but for a block', nearlyTheSame],
    ['smaller', noise(2 * MIB - 5)],
    ['of one block', noise(MIB, 2)],
    ['empty', Buffer.alloc(0)],
    ['larger', noise(8 * MIB)],
    ['another', noise(SIZE, 2)],
  ])('is replaced before a reconnection: the new one comes whole (%s)', async (_, now) => {
    const { connector, remote, root, directory, proxy } = await startSetting();
    await remote(content);
    const target = join(directory, 'target');
    const events: TransferProgress[] = [];
    // Otherwise the rest of the old one could be on its way already when the new one comes.
    proxy.faults = { stallAfterBytes: { down: 4.5 * MIB } };
    const replace = whenDone(3, () => {
      proxy.faults = {};
      writeFileSync(join(root, 'new'), now);
      renameSync(join(root, 'new'), join(root, 'file'));
      proxy.cutAll();
    });
    const result = await fetchTo(connector(), 'file', target, {
      onProgress: (event) => {
        events.push(event);
        replace(event);
      },
    });
    expect((await readFile(target)).equals(now)).toBe(true);
    expect(result.size).toBe(now.length);
    expect(events.at(-1)).toMatchObject({ totalBytes: now.length, doneBytes: now.length });
    for (const { totalBytes, doneBytes } of events) expect(doneBytes).toBeLessThanOrEqual(totalBytes ?? 0);
    if (now === nearlyTheSame) expect(result.receivedBytes).toBeLessThan(2 * SIZE - MIB);
  });

  test('is written to in its place: the new one comes whole', async () => {
    const { connector, remote, root, directory, proxy } = await startSetting();
    const path = await remote(large);
    await utimes(path, LONG_AGO, LONG_AGO);
    const target = join(directory, 'target');
    proxy.faults = { stallAfterBytes: { down: 3.5 * MIB } };
    const onProgress = whenDone(2, () => {
      overwrite(path, 5 * MIB, 'changed');
      proxy.faults = {};
    });
    const { retries } = await fetchTo(connector(), 'file', target, { onProgress });
    expect(retries).toBe(1);
    expect((await readFile(target)).equals(await readFile(join(root, 'file')))).toBe(true);
  });

  test('is removed: the target is not touched', async () => {
    const { connector, remote, root, local, proxy } = await startSetting();
    await remote(large);
    const target = await local(Buffer.from('precious'), 'target');
    proxy.faults = { stallAfterBytes: { down: 3.5 * MIB } };
    const onProgress = whenDone(2, () => {
      renameSync(join(root, 'file'), join(root, 'elsewhere'));
      proxy.faults = {};
      proxy.cutAll();
    });
    expect((await failureOf(fetchTo(connector(), 'file', target, { onProgress }))).code).toBe('not-found');
    expect(await readFile(target, 'utf8')).toBe('precious');
  });
});
