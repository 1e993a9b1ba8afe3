import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { openFileSource, type BlockSource } from '../../src/client/block-source.ts';
import { upload } from '../../src/client/upload.ts';
import type { UploadOptions } from '../../src/client/upload-options.ts';
import type { FaultProxy } from '../../src/transport/fault-proxy.ts';
import type { CutMode } from '../../src/transport/fault-cut.ts';
import { temporaryDirectory, tokenOf, usersToml, type TestUser } from '../support/test-server.ts';
import { AT_ONCE, failureOf, MIB, NEVER, noise, startSetting } from './setting.ts';

/** A source that, when all was sent and acknowledged, lets the next answer of the server be the one that is lost. */
async function losingTheReceipt(path: string, proxy: FaultProxy, mode: CutMode): Promise<BlockSource> {
  const source = await openFileSource(path);
  onTestFinished(() => source[Symbol.asyncDispose]());
  let isFirst = true;
  return {
    size: source.size,
    mtimeMs: source.mtimeMs,
    mode: source.mode,
    isRepeatable: true,
    block: (index) => source.block(index),
    release: (index, block) => source.release(index, block),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
    assertUnchanged: async () => {
      await source.assertUnchanged();
      if (isFirst) proxy.faults = { cut: { afterBytes: 0, direction: 'down', mode, times: 1 } };
      isFirst = false;
    },
  };
}

async function usersFile(user: TestUser): Promise<string> {
  const path = join(await temporaryDirectory(), 'users.toml');
  await writeFile(path, usersToml({ user }), { mode: 0o600 });
  return path;
}

const SIZES = { inline: 1_000, 'in blocks': 3 * MIB + 5 };

describe.each(Object.entries(SIZES))('the receipt of a file that was sent %s is lost', (_, size) => {
  async function sent(mode: CutMode, options: UploadOptions, before?: Buffer, user?: TestUser) {
    const setting = await startSetting({}, user && { usersFile: await usersFile(user) });
    const content = noise(size);
    if (before) await setting.remote(before);
    const connector = setting.connector(user && { token: tokenOf('user') });
    const etag = before && (await (await connector.use()).stat('file')).etag;
    const source = await losingTheReceipt(await setting.local(content), setting.proxy, mode);
    const sending = upload(connector, source, 'file', {
      retry: AT_ONCE,
      ...options,
      ...(options.if === 'match' && etag !== undefined && { etag }),
    });
    return { setting, content, sending, connector };
  }

  test.each(
    (['fin', 'rst'] as const).flatMap((mode) =>
      (['any', 'absent', 'match'] as const).map((condition) => ({ mode, condition })),
    ),
  )('by $mode: said again, it succeeds once (if: $condition)', async ({ mode, condition }) => {
    const before = condition === 'match' ? noise(10, 7) : undefined;
    const { setting, content, sending, connector } = await sent(mode, { if: condition }, before);
    const { receipt, retries } = await sending;
    expect(retries).toBe(1);
    expect((await readFile(join(setting.root, 'file'))).equals(content)).toBe(true);
    const entry = await (await connector.use()).stat('file', { digest: true });
    expect(receipt).toMatchObject({ path: 'file', size, etag: entry.etag, digest: entry.digest });
  });

  test.each([
    { permissions: ['write', 'read', 'list'] as const, condition: 'any' as const },
    { permissions: ['write'] as const, condition: 'any' as const },
    { permissions: ['write'] as const, condition: 'absent' as const },
  ])('who may only $permissions (if: $condition) succeeds as well', async ({ permissions, condition }) => {
    const { setting, content, sending } = await sent('rst', { if: condition }, undefined, { permissions });
    const { receipt, retries } = await sending;
    expect(retries).toBe(1);
    expect((await readFile(join(setting.root, 'file'))).equals(content)).toBe(true);
    const entry = await (await setting.connector().use()).stat('file', { digest: true });
    const { etag, digest, mtimeMs } = entry;
    expect(receipt).toMatchObject({ path: 'file', size, etag, digest, mtimeMs });
  });

  test('who may not replace it does not take what stood there for its own', async () => {
    const { sending } = await sent('rst', {}, noise(size, 7), { permissions: ['write', 'read', 'list'] });
    expect((await failureOf(sending)).code).toBe('forbidden');
  });

  test('without a retry it is a failure, though the file stands there', async () => {
    const { setting, content, sending } = await sent('rst', { retry: NEVER });
    expect((await failureOf(sending)).code).toBe('connection-lost');
    expect((await readFile(join(setting.root, 'file'))).equals(content)).toBe(true);
  });

  test('a server that was started again meanwhile knows it still', async () => {
    let restarting: Promise<void> | undefined;
    const { setting, content, sending } = await sent('rst', {
      if: 'absent',
      retry: { ...AT_ONCE, retries: 10_000, baseDelayMs: 10, maxDelayMs: 10 },
      onRetry: () => {
        restarting ??= setting.restart();
      },
    });
    await sending;
    await restarting;
    expect((await readFile(join(setting.root, 'file'))).equals(content)).toBe(true);
  });
});

test('a file of somebody else under the name is not taken for ours', async () => {
  const { connector, local, remote } = await startSetting();
  await remote(noise(5, 2));
  const source = await openFileSource(await local(noise(3 * MIB)));
  onTestFinished(() => source[Symbol.asyncDispose]());
  const error = await failureOf(upload(connector(), source, 'file', { retry: AT_ONCE, if: 'absent' }));
  expect(error).toMatchObject({ code: 'exists' });
});

test('the same file of somebody else under the name is not taken for ours in a first attempt', async () => {
  const { connector, local, remote } = await startSetting();
  const content = noise(3 * MIB);
  await remote(content);
  const source = await openFileSource(await local(content));
  onTestFinished(() => source[Symbol.asyncDispose]());
  const error = await failureOf(upload(connector(), source, 'file', { retry: AT_ONCE, if: 'absent' }));
  expect(error).toMatchObject({ code: 'exists' });
});
