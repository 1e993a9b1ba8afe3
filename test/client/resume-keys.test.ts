import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { ResumeKeys } from '../../src/client/resume-keys.ts';
import { systemRandom } from '../../src/random.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { temporaryDirectory } from '../support/test-server.ts';
import { failureOf } from './setting.ts';

test('keeps one key for each name until the transfer is done', async () => {
  const directory = join(await temporaryDirectory(), 'made', 'when needed');
  const key = await new ResumeKeys(directory).keyFor('a to b', systemRandom);
  expect(key).toMatch(/^[0-9a-f]{32}$/);
  const keys = new ResumeKeys(directory);
  expect(await keys.keyFor('a to b', systemRandom)).toBe(key);
  expect(await keys.keyFor(`a to ${'c'.repeat(5_000)}/../\0`, systemRandom)).not.toBe(key);
  expect(await readdir(directory)).toHaveLength(2);
  await keys.done('a to b');
  await keys.done('a to b');
  expect(await keys.keyFor('a to b', systemRandom)).not.toBe(key);
});

test.each([
  ['nothing, as after a crash', ''],
  ['something else', 'hello\n'],
  ['half a key', 'abcdef'],
  ['NULs', '\0'.repeat(33)],
  ['no UTF-8', Buffer.from([0xff, 0xfe, 0x80])],
])('a file that holds %s is replaced, and said to be there until it is', async (_, content) => {
  const directory = await temporaryDirectory();
  const keys = new ResumeKeys(directory);
  const key = await keys.keyFor('name', systemRandom);
  const [file = ''] = await readdir(directory);
  await writeFile(join(directory, file), content);
  expect(await keys.find('name')).toBeUndefined();
  expect(await keys.has('name')).toBe(true);
  expect(await keys.has('another')).toBe(false);
  const anew = await keys.keyFor('name', systemRandom);
  expect(anew).toMatch(/^[0-9a-f]{32}$/);
  expect(anew).not.toBe(key);
  expect(await keys.find('name')).toBe(anew);
  await keys.done('name');
  expect(await keys.has('name')).toBe(false);
});

test('a key that nobody asked for in a month goes when another is made', async () => {
  const directory = await temporaryDirectory();
  const clock = new FakeClock(Date.now());
  await new ResumeKeys(directory, clock).keyFor('killed once it was done', systemRandom);
  clock.advance(29 * 86_400_000);
  await new ResumeKeys(directory, clock).keyFor('young', systemRandom);
  expect(await readdir(directory)).toHaveLength(2);
  clock.advance(2 * 86_400_000);
  await new ResumeKeys(directory, clock).keyFor('new', systemRandom);
  expect(await readdir(directory)).toHaveLength(1);
});

test('a key that is asked for stays, however long ago it was made', async () => {
  const directory = await temporaryDirectory();
  const clock = new FakeClock(Date.now());
  const key = await new ResumeKeys(directory, clock).keyFor('goes on each week', systemRandom);
  for (let week = 0; week < 6; week += 1) {
    clock.advance(7 * 86_400_000);
    expect(await new ResumeKeys(directory, clock).find('goes on each week')).toBe(key);
    await new ResumeKeys(directory, clock).keyFor(`another ${week}`, systemRandom);
  }
  expect(await new ResumeKeys(directory, clock).keyFor('goes on each week', systemRandom)).toBe(key);
});

test('where none can be kept, the upload has one of its own if that is told, and fails if not', async () => {
  const directory = join(await temporaryDirectory(), 'file');
  await writeFile(directory, '');
  expect((await failureOf(new ResumeKeys(directory).keyFor('name', systemRandom))).code).toBe('local-file');
  const told: string[] = [];
  const keys = new ResumeKeys(directory, undefined, { onUnusable: ({ code }) => told.push(code) });
  expect(await keys.find('name')).toBeUndefined();
  const key = await keys.keyFor('name', systemRandom);
  expect(key).toMatch(/^[0-9a-f]{32}$/);
  expect(await keys.keyFor('name', systemRandom)).not.toBe(key);
  expect(new Set(told)).toEqual(new Set(['local-file']));
});
