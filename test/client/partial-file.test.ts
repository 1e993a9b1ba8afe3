import { execFileSync } from 'node:child_process';
import {
  chmod,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';

import type { Completion } from '../../src/client/local-publish.ts';
import { PARTIAL_NAME, PartialFile } from '../../src/client/partial-file.ts';
import { blockDigest } from '../../src/transfer/digests.ts';
import { useNobodysRights } from '../storage/fs/nobodys-rights.ts';
import { temporaryDirectory } from '../support/test-server.ts';
import { failureOf, MIB, noise } from './setting.ts';

const content = noise(MIB + 10);
const whole: Completion = {
  size: content.length,
  mtimeMs: 981_173_106_789,
  mode: 0o666,
  mustBeNew: false,
};

async function opened(target: string, remote = 'host/path'): Promise<PartialFile> {
  const partial = await PartialFile.open(target, remote);
  onTestFinished(() => partial[Symbol.asyncDispose]());
  return partial;
}

async function filled(target: string): Promise<PartialFile> {
  const partial = await opened(target);
  await partial.write(1, content.subarray(MIB));
  await partial.write(0, content.subarray(0, MIB));
  return partial;
}

async function targetIn(): Promise<{ directory: string; target: string }> {
  const directory = await temporaryDirectory();
  return { directory, target: join(directory, 'target') };
}

test('gives its lock back also where its disk fails', async () => {
  const { target } = await targetIn();
  // In a process of its own: a handle that is closed behind its back gets calls to fail, and its number to others.
  const program = `
    import { closeSync, readdirSync, readlinkSync } from 'node:fs';
    import { PartialFile } from ${JSON.stringify(join(import.meta.dirname, '../../src/client/partial-file.ts'))};
    const open = () => PartialFile.open(${JSON.stringify(target)}, 'host/path');
    const partial = await open();
    const leadsToPart = (fd) => { try { return readlinkSync('/proc/self/fd/' + fd).endsWith('.part'); } catch { return false; } };
    closeSync(Number(readdirSync('/proc/self/fd').find(leadsToPart)));
    const failure = await partial[Symbol.asyncDispose]().catch((error) => error);
    await (await open())[Symbol.asyncDispose]();
    console.log(failure.code);`;
  const told = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  expect(told).toBe('EBADF\n');
});

test('becomes the target in one step, with its times', async () => {
  const { directory, target } = await targetIn();
  const partial = await filled(target);
  expect(await partial.size()).toBe(content.length);
  expect((await readdir(directory)).filter((name) => PARTIAL_NAME.test(name))).toHaveLength(1);
  await partial.complete(whole);
  await partial[Symbol.asyncDispose]();
  await partial[Symbol.asyncDispose]();
  expect(await readdir(directory)).toEqual(['target']);
  expect((await readFile(target)).equals(content)).toBe(true);
  const stats = await stat(target);
  expect(Math.floor(stats.mtimeMs)).toBe(whole.mtimeMs);
  expect(stats.mode & 0o777).toBe(0o666 & ~process.umask());
});

test('is readable by nobody else while it grows', async () => {
  const { directory, target } = await targetIn();
  await filled(target);
  for (const name of await readdir(directory))
    expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
});

test('is readable by nobody else where it began with a copy of an open file, or an earlier run left it open', async () => {
  const { directory, target } = await targetIn();
  await writeFile(target, content, { mode: 0o644 });
  const partial = await opened(target);
  const part = join(directory, (await readdir(directory)).find((name) => PARTIAL_NAME.test(name)) ?? '');
  await partial.startFrom(target);
  expect((await stat(part)).mode & 0o777).toBe(0o600);
  expect(await partial.size()).toBe(content.length);
  await partial[Symbol.asyncDispose]();
  await chmod(part, 0o644);
  await opened(target);
  expect((await stat(part)).mode & 0o777).toBe(0o600);
});

describe('bits that forbid to read or write', () => {
  useNobodysRights();

  test.each([0o444, 0o200, 0o000])(
    'that the file had already do not keep it from going on (%o)',
    async (mode) => {
      const { directory, target } = await targetIn();
      const first = await filled(target);
      const part = join(directory, (await readdir(directory)).find((name) => PARTIAL_NAME.test(name)) ?? '');
      // It died before it was renamed.
      await first[Symbol.asyncDispose]();
      await chmod(part, mode);
      const partial = await opened(target);
      expect(await partial.size()).toBe(content.length);
      await partial.complete({ ...whole, mode, keepsMode: true });
      expect((await stat(target)).mode & 0o777).toBe(mode);
    },
  );

  test('of the finished file are left alone where it has the name of a partial file still', async () => {
    const { directory, target } = await targetIn();
    const first = await filled(target);
    const part = join(directory, (await readdir(directory)).find((name) => PARTIAL_NAME.test(name)) ?? '');
    await first.complete({ ...whole, mode: 0o444, keepsMode: true });
    await first[Symbol.asyncDispose]();
    await link(target, part);
    const partial = await opened(target);
    expect(await partial.size()).toBe(0);
    expect((await stat(target)).mode & 0o777).toBe(0o444);
  });

  test.each([
    { mode: 0o444, copied: content.length },
    { mode: 0o200, copied: 0 },
  ])('of what it is to begin with: $mode', async ({ mode, copied }) => {
    const { target } = await targetIn();
    await writeFile(target, content, { mode });
    const first = await opened(target);
    await first.startFrom(target);
    expect(await first.size()).toBe(copied);
    await first.write(0, content.subarray(0, MIB));
    await first[Symbol.asyncDispose]();
    const partial = await opened(target);
    expect(await partial.size()).toBe(Math.max(copied, MIB));
  });
});

test.each([
  { old: 0o640, given: 0o755, expected: 0o640, what: 'those of the file that is replaced' },
  { old: undefined, given: 0o700, expected: 0o700, what: 'the given ones for a new file' },
  { old: undefined, given: 0o6777, expected: 0o777 & ~process.umask(), what: 'never more than is usual' },
])('has permission bits: $what', async ({ old, given, expected }) => {
  const { target } = await targetIn();
  if (old !== undefined) await writeFile(target, 'old', { mode: old });
  const partial = await filled(target);
  await partial.complete({ ...whole, mode: given });
  expect((await stat(target)).mode & 0o7777).toBe(expected);
});

test('knows what it holds by hashing it, up to the first gap', async () => {
  const { target } = await targetIn();
  const partial = await filled(target);
  const held = await partial.hash('sha256', content.length);
  expect(held.digest(0)?.equals(blockDigest('sha256', content.subarray(0, MIB)))).toBe(true);
  expect(held.digest(1)?.equals(blockDigest('sha256', content.subarray(MIB)))).toBe(true);
  expect((await partial.hash('sha256', 3 * MIB)).heldCount).toBe(1);
  expect((await partial.hash('sha256', 0)).heldCount).toBe(0);
});

test('a second run on the same target is told to wait; on another it is not', async () => {
  const { directory, target } = await targetIn();
  const partial = await filled(target);
  expect((await failureOf(PartialFile.open(target, 'host/path'))).code).toBe('locked');
  await opened(target, 'host/another');
  await opened(join(directory, 'other'));
  await partial[Symbol.asyncDispose]();
  expect(await (await opened(target)).size()).toBe(content.length);
});

test('leaves nothing behind that holds nothing, and nothing when it is discarded', async () => {
  const { directory, target } = await targetIn();
  await (await opened(target))[Symbol.asyncDispose]();
  expect(await readdir(directory)).toEqual([]);
  await (await filled(target)).discard();
  expect(await readdir(directory)).toEqual([]);
});

test('makes missing parents, and takes names of 255 bytes', async () => {
  const target = join(await temporaryDirectory(), 'a', 'b', 'n'.repeat(255));
  await (await filled(target)).complete(whole);
  expect((await readFile(target)).length).toBe(content.length);
});

test('has another name for every remote and target', async () => {
  const { directory, target } = await targetIn();
  const places = [
    [target, 'h/p'],
    [target, 'h/q'],
    [target, 'h/p\0'],
    [`${target}2`, 'h/p'],
  ] as const;
  for (const [local, remote] of places) await (await opened(local, remote)).write(0, noise(1));
  expect((await readdir(directory)).filter((name) => PARTIAL_NAME.test(name))).toHaveLength(4);
});

describe('what stands at the target', () => {
  test('a symbolic link stays one, and what it leads to is replaced in one step', async () => {
    const { directory, target } = await targetIn();
    const behind = join(directory, 'behind');
    await writeFile(behind, 'old');
    await symlink(behind, target);
    const reader = await open(behind);
    await (await filled(target)).complete(whole);
    expect(await readlink(target)).toBe(behind);
    expect((await readFile(behind)).equals(content)).toBe(true);
    expect(await reader.readFile('utf8')).toBe('old');
    await reader.close();
  });

  test('a symbolic link to nothing, or to what is no file, is left alone', async () => {
    const { directory, target } = await targetIn();
    for (const place of [join(directory, 'nothing'), directory, '/dev/null']) {
      await symlink(place, target);
      expect((await failureOf(PartialFile.open(target, 'host/path'))).code).toBe('local-exists');
      expect(await readlink(target)).toBe(place);
      await rm(target);
    }
    expect((await lstat('/dev/null')).isCharacterDevice()).toBe(true);
    expect(await readdir(directory)).toEqual([]);
  });

  test('a directory, a FIFO and a device are left alone', async () => {
    const { directory } = await targetIn();
    await mkdir(join(directory, 'directory'));
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    for (const target of [join(directory, 'directory'), join(directory, 'fifo'), '/dev/null']) {
      expect((await failureOf(PartialFile.open(target, 'host/path'))).code).toBe('local-exists');
    }
    expect((await lstat(join(directory, 'fifo'))).isFIFO()).toBe(true);
    expect((await lstat('/dev/null')).isCharacterDevice()).toBe(true);
    expect((await readdir(directory)).sort()).toEqual(['directory', 'fifo']);
  });

  test.each([
    ['a directory', (target: string) => mkdir(target)],
    ['a FIFO', async (target: string) => void execFileSync('mkfifo', [target])],
    ['a symbolic link', (target: string) => symlink('/dev/null', target)],
  ])('%s that appears meanwhile is left alone too, and what was fetched is kept', async (_, appear) => {
    const { directory, target } = await targetIn();
    const partial = await filled(target);
    await appear(target);
    expect((await failureOf(partial.complete(whole))).code).toBe('local-exists');
    await partial[Symbol.asyncDispose]();
    expect((await lstat(target)).isFile()).toBe(false);
    await rm(target, { recursive: true });
    const again = await opened(target);
    expect(await again.size()).toBe(content.length);
    await again.complete(whole);
    await again[Symbol.asyncDispose]();
    expect(await readdir(directory)).toEqual(['target']);
  });

  test('a file that appears meanwhile is not replaced where it must be new', async () => {
    const { target } = await targetIn();
    const partial = await filled(target);
    await writeFile(target, 'precious');
    expect((await failureOf(partial.complete({ ...whole, mustBeNew: true }))).code).toBe('local-exists');
    expect(await readFile(target, 'utf8')).toBe('precious');
    await rm(target);
    await partial[Symbol.asyncDispose]();
    await (await opened(target)).complete({ ...whole, mustBeNew: true });
    expect((await readFile(target)).equals(content)).toBe(true);
  });
});

test('a symbolic link where the partial file should be is not followed', async () => {
  const { directory, target } = await targetIn();
  const behind = join(directory, 'behind');
  await writeFile(behind, 'precious');
  const first = await filled(target);
  const part = join(directory, (await readdir(directory)).find((name) => PARTIAL_NAME.test(name)) ?? '');
  await first.discard();
  await symlink(behind, part);
  expect((await failureOf(PartialFile.open(target, 'host/path'))).code).toBe('local-file');
  expect(await readFile(behind, 'utf8')).toBe('precious');
  expect(await readlink(part)).toBe(behind);
  expect((await readdir(directory)).filter((name) => name.endsWith('.lock'))).toEqual([]);
});

test('a file where a directory should be is told', async () => {
  const { directory } = await targetIn();
  await writeFile(join(directory, 'file'), '');
  await utimes(join(directory, 'file'), 1, 1);
  expect((await failureOf(PartialFile.open(join(directory, 'file', 'target'), 'host/path'))).code).toMatch(
    /^local-/,
  );
});

test('data that could not be brought to the disk is not there for the next run', async () => {
  const { directory, target } = await targetIn();
  const partial = await filled(target);
  const probe = await open(join(directory, 'probe'), 'w');
  await probe.close();
  vi.spyOn(Object.getPrototypeOf(probe) as typeof probe, 'sync').mockRejectedValueOnce(
    Object.assign(new Error('made by a test'), { code: 'EIO' }),
  );
  expect((await failureOf(partial.complete(whole))).code).toBe('local-file');
  await partial[Symbol.asyncDispose]();
  expect(await readdir(directory)).toEqual(['probe']);
});
