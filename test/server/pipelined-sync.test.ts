import { expect, test } from 'vitest';

import { GatedStore } from '../support/gated-store.ts';
import { bytesOf, putInline } from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

test('a sync that is sent behind a put is answered behind it', async () => {
  const store = new GatedStore();
  const { login } = await startTestServer({ store });
  const client = await login();
  const gate = store.hold('put f');
  const answered: string[] = [];
  const put = putInline(client, 'f', bytesOf(10), { durability: 'memory' }).then(() => answered.push('put'));
  const sync = client.ask('sync', {}).then(() => answered.push('sync'));
  await client.ask('ping', {});
  await client.ask('ping', {});
  expect(answered).toEqual([]);

  gate.open();
  await Promise.all([put, sync]);
  expect(answered).toEqual(['put', 'sync']);
});
