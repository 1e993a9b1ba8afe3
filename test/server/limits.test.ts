import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { SealiftError } from '../../src/errors.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { startAttackedServer } from '../support/attacked-server.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { RawClient } from '../support/raw-client.ts';
import { beginUpload, bytesOf, commit, sendBlock } from '../support/raw-upload.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

const DAY_MS = 86_400_000;

/** A store that cannot remove the first upload that it is told to remove. */
class StubbornStore extends MemoryStore {
  #stays: string | undefined;

  override async discardUpload(key: string): Promise<void> {
    this.#stays ??= key;
    if (key === this.#stays) throw new SealiftError('internal', 'This cannot be removed.');
    await super.discardUpload(key);
  }
}

/** Connects as soon as the server has noticed that another is gone. */
async function loginWhenFree({ login }: TestServer) {
  for (;;) {
    try {
      return await login();
    } catch {
      // Still counted.
    }
  }
}

test.each([
  ['from one address', { maxConnectionsPerAddress: 2 }],
  ['in all', { maxConnections: 2 }],
])('only so many connections are let in %s, and the next when one is gone', async (_, options) => {
  const server = await startTestServer(options);
  const [first, second] = [await server.login(), await server.login()];
  await expect(server.connect()).rejects.toThrow();
  await second.askOk('ping');
  await first.destroy();
  const third = await loginWhenFree(server);
  await third.askOk('ping');
  await expect(server.connect()).rejects.toThrow();
});

describe('uploads that nobody goes on with', () => {
  const key = (n: number) => ({ 'resume-key': String(n).repeat(32) });
  /** A server whose time a test moves, and the paths of the uploads that are kept when it is closed. */
  const start = async (abandonedUploads: Record<string, number>) => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock });
    const options = { store, clock, abandonedUploads, idleTimeoutMs: 100 * DAY_MS };
    const { server, login } = await startTestServer(options);
    const client = await login();
    const leave = async (n: number) => {
      const leaving = await login();
      const { upload } = await beginUpload(leaving, `file ${n}`, BLOCK_BYTES, key(n));
      await sendBlock(leaving, upload, 0, bytesOf(BLOCK_BYTES, n));
      await leaving.destroy();
      return upload;
    };
    /** Which of the uploads 0 to `count` - 1 can be gone on with after the server was started again. */
    const kept = async (count: number) => {
      await server.close();
      const again = await startTestServer(options);
      const asking = await again.login();
      const held: number[] = [];
      for (let n = 0; n < count; n += 1) {
        const begun = await beginUpload(asking, `file ${n}`, BLOCK_BYTES, key(n));
        if (begun.held.length > 0) held.push(n);
        await asking.askOk('abort', { upload: begun.upload });
      }
      return held;
    };
    return { clock, client, leave, kept, server };
  };

  test('are removed when they are too old', async () => {
    const { clock, leave, kept } = await start({ maxAgeMs: DAY_MS });
    await leave(0);
    clock.advance(DAY_MS);
    await leave(1);
    clock.advance(1);
    expect(await kept(2)).toEqual([1]);
  });

  test('are removed when their owner has too many, the oldest first', async () => {
    const { clock, leave, kept } = await start({ maxCountPerOwner: 2 });
    for (const n of [0, 1, 2]) {
      clock.advance(1);
      await leave(n);
    }
    expect(await kept(3)).toEqual([1, 2]);
  });

  test('that cannot be removed keep no server from starting, and others from being removed', async () => {
    const { store, login, server } = await startTestServer({ store: new StubbornStore() });
    const client = await login();
    for (const path of ['a', 'b', 'c']) {
      const { upload } = await beginUpload(client, path, BLOCK_BYTES);
      await sendBlock(client, upload, 0, bytesOf(BLOCK_BYTES));
    }
    await server.close({ graceMs: 0 });
    const again = await startTestServer({ store, abandonedUploads: { maxAgeMs: -1 } });
    await (await again.login()).askOk('ping');
    expect(await Array.fromAsync(store.uploads())).toHaveLength(1);
  });

  test('are removed while the server runs, too, but never one that is worked on', async () => {
    const { clock, client, server, leave } = await start({ maxAgeMs: DAY_MS });
    const given = await leave(0);
    const working = await beginUpload(client, 'worked on', BLOCK_BYTES);
    await sendBlock(client, working.upload, 0, bytesOf(BLOCK_BYTES));
    clock.advance(2 * DAY_MS);
    await beginUpload(client, 'another', BLOCK_BYTES);
    expect((await client.ask('ping')).header['status']).toBe('ok');
    const commit = await client.ask('commit', {
      upload: working.upload,
      size: BLOCK_BYTES,
      digest: `sha256-1m:${'0'.repeat(64)}`,
    });
    // Nobody has taken the other over: a new put helps.
    expect((await client.ask('abort', { upload: given })).header['code']).toBe('unknown-upload');
    // All its blocks are still held: only the digest is wrong.
    expect(commit.header['code']).toBe('digest-mismatch');
    await server.close();
  });
});

test('publications are remembered for a while, ten for each upload that their owner may have', async () => {
  const { login, root } = await startAttackedServer({
    users: { many: {}, one: {} },
    abandonedUploads: { maxCountPerOwner: 1 },
  });
  const content = bytesOf(3);
  const [many, one] = [await login('many'), await login('one')];
  const publish = async (client: RawClient, path: string) => {
    const { upload } = await beginUpload(client, path, content.length);
    await sendBlock(client, upload, 0, content);
    return { upload, receipt: (await commit(client, upload, content)).header };
  };
  const only = await publish(one, 'only');
  const first = await publish(many, 'first');
  for (let n = 0; n < 25; n += 1) await publish(many, `${n}`);
  const last = await publish(many, 'last');
  while (readdirSync(join(root, '.sealift/published')).length > 20) await new Promise(setImmediate);
  const again = async (client: RawClient, { upload }: { upload: string }) => {
    const { header } = await commit(client, upload, content);
    return header['code'] ?? header['etag'];
  };
  expect(await again(one, only)).toBe(only.receipt['etag']);
  expect(await again(many, last)).toBe(last.receipt['etag']);
  expect(await again(many, first)).toBe('unknown-upload');
});
