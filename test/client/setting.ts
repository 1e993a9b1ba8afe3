import { createCipheriv } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';

import { fileSink } from '../../src/client/block-sink.ts';
import { openFileSource } from '../../src/client/block-source.ts';
import type { ConnectOptions } from '../../src/client/connect.ts';
import { Connector } from '../../src/client/connector.ts';
import { download, type DownloadOptions, type DownloadResult } from '../../src/client/download.ts';
import { PartialFile } from '../../src/client/partial-file.ts';
import type { RetryPolicy } from '../../src/client/retry.ts';
import type { TransferProgress } from '../../src/client/transfer-progress.ts';
import { upload } from '../../src/client/upload.ts';
import type { UploadOptions, UploadResult } from '../../src/client/upload-options.ts';
import { systemClock } from '../../src/clock.ts';
import { isSealiftError, type SealiftError } from '../../src/errors.ts';
import { systemRandom } from '../../src/random.ts';
import type { CreatedServer, CreateServerOptions } from '../../src/server/create-server.ts';
import type { Address } from '../../src/transport/address.ts';
import { startFaultProxy, type FaultProxy } from '../../src/transport/fault-proxy.ts';
import type { Faults } from '../../src/transport/fault-settings.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startDirectoryServer, temporaryDirectory } from '../support/test-server.ts';

export const MIB = 1_048_576;

/** The usual count of retries, without the waiting. */
export const AT_ONCE: RetryPolicy = { retries: 8, maxElapsedMs: 900_000, baseDelayMs: 0, maxDelayMs: 0 };
/** The first failure is the last. */
export const NEVER: RetryPolicy = { ...AT_ONCE, retries: 0 };

export interface Setting {
  server: CreatedServer;
  proxy: FaultProxy;
  /** What the server serves. */
  root: string;
  /** For local files. */
  directory: string;
  /** Through the proxy, unless `address` says otherwise; closed at the end of the test. */
  connector(options?: Partial<ConnectOptions>): Connector;
  /** Writes a local file and answers its path. */
  local(content: Buffer, name?: string): Promise<string>;
  /** Puts a file under the server's root without the server. */
  remote(content: Buffer, name?: string): Promise<string>;
  /** Ends the server at once and starts another on the same root and port. */
  restart(): Promise<void>;
}

/** A server on an empty directory, the fault proxy before it, and clients that come through the proxy. */
export async function startSetting(
  faults: Faults = {},
  options: Partial<CreateServerOptions> = {},
): Promise<Setting> {
  const started = await startDirectoryServer({ anonymous: 'write', ...options });
  const { root } = started;
  const target = { host: '127.0.0.1', port: (started.address as { port: number }).port };
  const proxy = await startFaultProxy({ target, faults, clock: systemClock, random: systemRandom });
  onTestFinished(() => proxy.close());
  const directory = await temporaryDirectory();
  const written = async (path: string, content: Buffer) => {
    await writeFile(path, content);
    return path;
  };
  const setting: Setting = {
    server: started.server,
    proxy,
    root,
    directory,
    connector: (connectOptions) =>
      connectorTo({ host: proxy.host, port: proxy.port }, started.server.pin, connectOptions),
    local: (content, name = 'source') => written(join(directory, name), content),
    remote: (content, name = 'file') => written(join(root, name), content),
    restart: async () => {
      setting.server.destroyConnections();
      await setting.server.close({ graceMs: 0 });
      const again = await startDirectoryServer({ anonymous: 'write', ...options, ...target, root });
      setting.server = again.server;
    },
  };
  return setting;
}

/**
 * Its clock stands still, so that no answer is ever late, and the way seems short: then two blocks at most are on
 * their way without an answer.
 */
export function connectorTo(address: Address, pin: string, options: Partial<ConnectOptions> = {}): Connector {
  const connector = new Connector({ address, pins: [pin], clock: new FakeClock(), ...options });
  onTestFinished(() => connector[Symbol.asyncDispose]());
  return connector;
}

/** Sends a local file, as `put` does. Retries do not wait. */
export async function send(
  connector: Connector,
  file: string,
  path: string,
  options: UploadOptions = {},
): Promise<UploadResult> {
  const source = await openFileSource(file);
  try {
    return await upload(connector, source, path, { retry: AT_ONCE, ...options });
  } finally {
    await source[Symbol.asyncDispose]();
  }
}

/** Fetches into a local file, as `get` does. Retries do not wait. */
export async function fetchTo(
  connector: Connector,
  path: string,
  target: string,
  options: DownloadOptions = {},
): Promise<DownloadResult> {
  const partial = await PartialFile.open(target, path);
  try {
    const result = await download(connector, path, fileSink(partial), { retry: AT_ONCE, ...options });
    await partial.complete({ ...result, mustBeNew: false });
    return result;
  } finally {
    await partial[Symbol.asyncDispose]();
  }
}

/** `length` bytes that no other place and no other seed has. */
export function noise(length: number, seed = 1): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  return cipher.update(Buffer.alloc(length));
}

/** Collects progress, and fails the test if a number ever runs backwards. */
export function watchProgress() {
  const events: TransferProgress[] = [];
  const onProgress = (event: TransferProgress) => {
    const before = events.at(-1) ?? { doneBytes: 0, resumedBytes: 0, movedBytes: 0 };
    expect(event.doneBytes).toBeGreaterThanOrEqual(before.doneBytes);
    expect(event.resumedBytes).toBeGreaterThanOrEqual(before.resumedBytes);
    expect(event.movedBytes).toBeGreaterThanOrEqual(before.movedBytes);
    events.push(event);
  };
  return { events, onProgress };
}

/** The error of ours with which `promise` rejects. */
export async function failureOf(promise: Promise<unknown>): Promise<SealiftError> {
  try {
    await promise;
  } catch (error) {
    if (isSealiftError(error)) return error;
    throw error;
  }
  throw new Error('an error was expected, and there was none');
}

/** Lets time pass, timer by timer, until `promise` has settled. */
export async function passUntilSettled<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  let isSettled = false;
  const settled = () => (isSettled = true);
  promise.then(settled, settled);
  while (!isSettled) {
    clock.advance(clock.nextDelayMs ?? 0);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return promise;
}
