import { expect, onTestFinished, test } from 'vitest';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { publication, putText } from '../contract/store/samples.ts';
import { GatedStore, type Gate } from '../support/gated-store.ts';
import type { RawClient } from '../support/raw-client.ts';
import { beginUpload, bytesOf } from '../support/raw-upload.ts';
import { startTestServer } from '../support/test-server.ts';

const FILES = 40;
/** Files that are hashed at once. */
const AT_ONCE = 3;

/** Serves files that cannot be read until `gates` are open, of which it has come to those in `begun`, and two that can. */
async function startGated() {
  const store = new GatedStore();
  const { login } = await startTestServer({ store, users: { many: {}, one: {} } });
  const [many, other, one] = [await login('many'), await login('many'), await login('one')];
  const paths = Array.from({ length: FILES }, (_, index) => `file ${index}`);
  // Behind the back of the server, which knows no digest of them.
  for (const path of [...paths, 'free']) await putText(store, path, 'text');
  await store.put(publication('whole'), bytesOf(BLOCK_BYTES));
  const begun: Gate[] = [];
  const gates = paths.map((path): Gate => store.hold(`read ${path} 0`));
  onTestFinished(() => gates.forEach((gate) => gate.open()));
  for (const gate of gates) void gate.reached().then(() => begun.push(gate));
  return { store, many, other, one, paths, gates, begun };
}

/** Asks for the digests of all files, on two connections; resolves when the server works on that. */
async function beginAll({ many, other, one, paths, begun }: Awaited<ReturnType<typeof startGated>>) {
  const asked = paths.map((path, index) => {
    const client = index % 2 === 0 ? many : other;
    return { client, id: client.begin(index % 4 < 2 ? 'digests' : 'stat', { path, digest: true }) };
  });
  // Behind the others, and so answered when they were begun.
  await Promise.all([many.ask('ping'), other.ask('ping')]);
  while (begun.length < AT_ONCE) await one.ask('ping');
  await rounds(one);
  return asked;
}

/** Resolves when the server has had the time for what else it might do. */
async function rounds(witness: RawClient): Promise<void> {
  for (let round = 0; round < 50; round += 1) await witness.ask('ping');
}

test('few files are hashed at once, whoever asks for how many, and the others in their turn', async () => {
  const started = await startGated();
  const { gates, begun } = started;
  const asked = await beginAll(started);
  expect(begun.length).toBeLessThanOrEqual(AT_ONCE);
  for (const gate of gates) gate.open();
  for (const { client, id } of asked)
    expect((await client.answer(id)).header['status'], String(id)).toBe('ok');
});

test('who asks for little is not kept waiting by who asks for much', async () => {
  const started = await startGated();
  const { many, one, begun } = started;
  await beginAll(started);
  const own = one.begin('digests', { path: 'free' });
  await one.ask('ping');
  // When two of those that are hashed have ended, each of the principals has had a turn.
  for (const gate of begun.slice(0, 2)) gate.open();
  expect((await one.answer(own)).header['status']).toBe('ok');
  await rounds(many);
  expect(begun.length).toBeLessThan(2 * AT_ONCE);
});

test('the base of an upload is hashed in its turn, too', async () => {
  const started = await startGated();
  const { store, one, gates } = started;
  const copies = store.count('read whole 0');
  await beginAll(started);
  const upload = beginUpload(one, 'whole', 2 * BLOCK_BYTES, { base: 'existing' });
  await rounds(one);
  expect(copies()).toBe(0);
  for (const gate of gates) gate.open();
  expect(await upload).toMatchObject({ base: 'existing' });
  expect(copies()).toBe(1);
});

test('who gives up waiting, or is gone, gives back the turn', async () => {
  const started = await startGated();
  const { many, other, one, gates } = started;
  const asked = await beginAll(started);
  const own = one.begin('digests', { path: 'free' });
  for (const { client, id } of asked.slice(AT_ONCE + 1))
    if (client === many) client.begin('cancel', { target: id });
  await other.destroy();
  await rounds(one);
  for (const gate of gates) gate.open();
  expect((await one.answer(own)).header['status']).toBe('ok');
  await rounds(many);
  const again = await one.ask('stat', { path: 'file 39', digest: true });
  expect(again.header['status']).toBe('ok');
});
