import { expect, onTestFinished, test } from 'vitest';

import type { Logger } from '../../src/logger.ts';
import { FileStore } from '../../src/storage/fs/fs-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { bytesOf, putInline, beginUpload, sendBlock } from '../support/raw-upload.ts';
import { startDirectoryServer, startTestServer, temporaryDirectory } from '../support/test-server.ts';

const CONTENT = bytesOf(100);

test('what fails inside is told without paths and stacks, and logged with its cause', async () => {
  const root = await temporaryDirectory();
  const files = new FaultyFiles();
  const store = await FileStore.open({ root, files });
  onTestFinished(() => store[Symbol.asyncDispose]());
  const logged: unknown[] = [];
  const logger: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (fields) => logged.push(fields),
  };
  const { login } = await startTestServer({ store, logger });
  const client = await login();
  await putInline(client, 'file', CONTENT);
  const { upload } = await beginUpload(client, 'a', CONTENT.length);
  files.heal(() => 'EIO');
  const answers = [
    await putInline(client, 'b', CONTENT),
    await sendBlock(client, upload, 0, CONTENT),
    await client.ask('put', { path: 'c', size: 5_000_000 }),
    await client.ask('get', { path: 'file' }),
    await client.ask('digests', { path: 'file' }),
    await client.ask('stat', { path: 'file', digest: true }),
    await client.ask('list', { path: '' }),
    await client.ask('search', { query: 'f' }),
    await client.ask('set', { path: 'file', mode: 0o600 }),
    await client.ask('mkdir', { path: 'd' }),
    await client.ask('symlink', { path: 'e', target: 'x' }),
    await client.ask('remove', { path: 'file' }),
    await client.ask('move', { path: 'file', to: 'g' }),
  ];
  for (const { header } of answers) {
    expect(header).toMatchObject({ status: 'error', code: 'internal', retryable: true });
    const text = JSON.stringify(header);
    expect(text).not.toContain(root);
    expect(text).not.toMatch(/\.sealift|EIO|node:|\bat \S+:\d+|\.ts\b/);
    expect(Object.keys(header)).not.toContain('stack');
  }
  expect(logged.length).toBeGreaterThanOrEqual(answers.length);
  files.heal();
  await client.askOk('get', { path: 'file' });
});

test('what a store of the embedding program throws is told no more of, whatever it says', async () => {
  const secret = () => Promise.reject(new Error('/srv/secret is on fire'));
  const decorateStore = (store: Store) =>
    new Proxy(store, {
      get: (target, name) => {
        if (name === 'mkdir') return secret;
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (name !== 'openUpload') return value.bind(target) as unknown;
        return async (...values: Parameters<Store['openUpload']>) => {
          const upload = await target.openUpload(...values);
          return Object.assign(Object.create(upload) as typeof upload, { write: secret });
        };
      },
    });
  const { connect } = await startDirectoryServer({ anonymous: 'write', decorateStore });
  const client = await connect();
  await client.hello();
  const { upload } = await beginUpload(client, 'a', CONTENT.length);
  const answers = [await sendBlock(client, upload, 0, CONTENT), await client.ask('mkdir', { path: 'd' })];
  for (const { header } of answers) {
    expect(header).toMatchObject({ status: 'error', code: 'internal', retryable: true });
    expect(JSON.stringify(header)).not.toMatch(/secret|fire/);
  }
});

test('a full disk is told as such', async () => {
  const root = await temporaryDirectory();
  const files = new FaultyFiles();
  const store = await FileStore.open({ root, files });
  onTestFinished(() => store[Symbol.asyncDispose]());
  const client = await (await startTestServer({ store })).login();
  files.failNamed('file.write', 'ENOSPC');
  expect((await putInline(client, 'a', CONTENT)).header).toMatchObject({
    code: 'no-space',
    retryable: false,
  });
});
