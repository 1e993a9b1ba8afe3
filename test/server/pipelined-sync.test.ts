import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

import { GatedStore } from '../support/gated-store.ts';
import type { RawClient } from '../support/raw-client.ts';
import { beginUpload, bytesOf, commit, digestOf, putInline } from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

const CONTENT = bytesOf(10);
const MEMORY = { durability: 'memory' };
const COMPRESSED = { content: gzipSync(CONTENT), contentEncoding: 'gzip' };
const DECODED = { digest: digestOf(CONTENT), 'decoded-length': CONTENT.length };

test.each<[string, string, (client: RawClient) => Promise<() => Promise<unknown>>]>([
  ['a put', 'put f', (client) => Promise.resolve(() => putInline(client, 'f', CONTENT, MEMORY))],
  [
    'a compressed put',
    'put f',
    (client) => {
      const fields = { path: 'f', size: CONTENT.length, ...DECODED, ...MEMORY };
      return Promise.resolve(() => client.askOk('put', fields, COMPRESSED));
    },
  ],
  [
    'the commit of a compressed block',
    'write 0',
    async (client) => {
      const { upload } = await beginUpload(client, 'f', CONTENT.length, MEMORY);
      return () => {
        client.send({ action: 'block', upload, index: 0, ...DECODED }, COMPRESSED);
        return commit(client, upload, CONTENT);
      };
    },
  ],
])('a sync that is sent behind %s is answered behind it', async (_, step, prepare) => {
  const store = new GatedStore();
  const { login } = await startTestServer({ store });
  const client = await login();
  const send = await prepare(client);
  const gate = store.hold(step);
  const answered: string[] = [];
  // In one piece, so that nothing is decoded in between.
  client.socket.cork();
  const publishing = send().then(() => answered.push('published'));
  const sync = client.ask('sync', {}).then(() => answered.push('sync'));
  client.socket.uncork();
  await gate.reached();
  await client.ask('ping', {});
  await client.ask('ping', {});
  expect(answered).toEqual([]);

  gate.open();
  await Promise.all([publishing, sync]);
  expect(answered).toEqual(['published', 'sync']);
});

test.each<[string, (client: RawClient) => Promise<() => Promise<unknown>>]>([
  ['mkdir', (client) => Promise.resolve(() => client.ask('mkdir', { path: 'f' }))],
  [
    'symlink',
    (client) => Promise.resolve(() => client.ask('symlink', { path: 'f', target: 'x', if: 'absent' })),
  ],
  [
    'commit',
    async (client) => {
      const { upload } = await beginUpload(client, 'f', 0, { ...MEMORY, if: 'absent' });
      return () => commit(client, upload, bytesOf(0));
    },
  ],
])('a sync is not behind the digest of what stands in the way of a %s', async (_, prepare) => {
  const store = new GatedStore();
  const { login } = await startTestServer({ store });
  const client = await login();
  const send = await prepare(client);
  await store.put({ path: 'f', durability: 'disk', condition: { if: 'any' }, mayReplace: true }, CONTENT);
  const digest = store.hold('open f');
  const answered: string[] = [];
  const refused = send().then(() => answered.push('refused'));
  await digest.reached();
  const sync = client.ask('sync', {}).then(() => answered.push('sync'));
  await client.ask('ping', {});
  await client.ask('ping', {});
  expect(answered).toEqual(['sync']);

  digest.open();
  await Promise.all([refused, sync]);
});
