import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { SealiftError } from '../../src/errors.ts';
import type { Faults } from '../../src/transport/fault-settings.ts';
import { failureOf, fetchTo, MIB, noise, send, startSetting } from './setting.ts';

const OLD = noise(5 * MIB + 77, 1);
const NEW = noise(5 * MIB + 78, 2);

/** A server on which `file` has one version, and the id of that. */
async function withVersion(faults: Faults = {}) {
  const setting = await startSetting({}, { keepVersionsMs: 86_400_000 });
  await send(setting.connector(), await setting.local(OLD), 'file');
  await send(setting.connector(), await setting.local(NEW), 'file');
  const client = await setting.connector().use();
  const [entry] = await Array.fromAsync(client.list('file', { versions: true }));
  setting.proxy.faults = faults;
  return { ...setting, client, version: entry?.version ?? '', target: join(setting.directory, 'target') };
}

test('a version is listed, looked at and fetched', async () => {
  const { client, connector, version, target } = await withVersion();
  const [entry] = await Array.fromAsync(client.list('', { recursive: true, versions: true }));
  expect(entry).toMatchObject({ path: 'file', size: OLD.length, version });
  const { path: _path, version: _version, ...attributes } = entry ?? { path: '' };
  expect(await client.stat('file', { version })).toEqual(attributes);
  const result = await fetchTo(connector(), 'file', target, { version });
  expect(result).toMatchObject({ size: OLD.length, etag: entry?.etag, mtimeMs: entry?.mtimeMs });
  expect((await readFile(target)).equals(OLD)).toBe(true);
});

test('a small one comes whole', async () => {
  const { client } = await withVersion();
  for (const text of ['one', 'two']) await client.put('small', Buffer.from(text));
  const [entry] = await Array.fromAsync(client.list('small', { versions: true }));
  const options = { version: entry?.version ?? '' };
  expect((await client.get('small', options)).content.toString()).toBe('one');
  expect(await client.stat('small', options)).toMatchObject({ type: 'file', size: 3, etag: entry?.etag });
});

test.each([
  ['cut again and again', { cut: { afterBytes: 2 * MIB, direction: 'down', times: 3 } } as const, 1],
  ['over several connections', {}, 3],
])('%s it is never mixed with what stands', async (_, faults, streams) => {
  const { connector, version, target } = await withVersion(faults);
  const result = await fetchTo(connector(), 'file', target, { version, streams });
  expect(result.size).toBe(OLD.length);
  expect((await readFile(target)).equals(OLD)).toBe(true);
});

describe('what an earlier run fetched', () => {
  /** Fetches some blocks and stops. */
  async function half(given: { version?: string }) {
    const setting = await withVersion();
    const { connector, directory, target } = setting;
    let left = 3 * MIB;
    const throttle = (bytes: number) =>
      (left -= bytes) >= 0
        ? Promise.resolve()
        : Promise.reject(new SealiftError('aborted', 'That is enough.'));
    const options = { throttle, ...('version' in given ? { version: setting.version } : {}) };
    expect((await failureOf(fetchTo(connector(), 'file', target, options))).code).toBe('aborted');
    const [part = ''] = (await readdir(directory)).filter((name) => name.endsWith('.part'));
    expect((await stat(join(directory, part))).size).toBe(3 * MIB);
    return setting;
  }

  test('of a version is gone on with', async () => {
    const { connector, version, target } = await half({ version: 'the old one' });
    const result = await fetchTo(connector(), 'file', target, { version });
    expect(result).toMatchObject({ resumedBytes: 3 * MIB, receivedBytes: OLD.length - 3 * MIB });
    expect((await readFile(target)).equals(OLD)).toBe(true);
  });

  test('of the file is checked by the digests of the version, and worth nothing for it', async () => {
    const { connector, version, target } = await half({});
    const result = await fetchTo(connector(), 'file', target, { version });
    expect(result).toMatchObject({ resumedBytes: 0, receivedBytes: OLD.length });
    expect((await readFile(target)).equals(OLD)).toBe(true);
  });
});

test('a server that keeps none says so, and the file itself does not come instead', async () => {
  const { connector, remote, directory } = await startSetting();
  await remote(OLD);
  const client = await connector().use();
  const listing = Array.fromAsync(client.list('', { versions: true }));
  expect((await failureOf(listing)).code).toBe('unsupported');
  const target = join(directory, 'target');
  const fetching = fetchTo(connector(), 'file', target, { version: '20200101T000000000Z-00000000' });
  expect((await failureOf(fetching)).code).toBe('unsupported');
  expect(await readdir(directory)).toEqual([]);
});
