import { createHash, X509Certificate } from 'node:crypto';
import { readFile, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { loopbackCertificate } from '../support/certificates.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { GatedStore } from '../support/gated-store.ts';
import { fetched } from '../support/raw-upload.ts';
import { startTestServer, temporaryDirectory, tokenOf } from '../support/test-server.ts';
import { connectorTo, fetchTo, MIB, noise, send, startSetting, watchProgress } from './setting.ts';

const SIZES = [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 7 * MIB + 12_345];
const NAMES = [
  'with spaces and  two',
  `quotes ' " \` and $HOME \\ ~`,
  'emoji 🚢 naïve ﷽',
  '-rf',
  '#?%2e%2e&*[x]{y}',
  'deep/er/than one/level',
  '.hidden',
  'n'.repeat(255),
  '🚢'.repeat(63) + 'abc',
];

/** The file digest as the protocol defines it, computed here by another way than in the sources. */
function sha256FileDigest(content: Buffer): string {
  const whole = createHash('sha256');
  for (let at = 0; at < content.length; at += MIB)
    whole.update(
      createHash('sha256')
        .update(content.subarray(at, at + MIB))
        .digest(),
    );
  return `sha256-1m:${whole.digest('hex')}`;
}

test.each(
  SIZES.flatMap((size) => [
    { size, digest: 'sha256' as const },
    { size, digest: 'blake3' as const },
  ]),
)('$size bytes go there and come back, with $digest', async ({ size, digest }) => {
  const { connector, local, root, directory } = await startSetting();
  const content = noise(size);
  const there = connector({ digest });

  const sending = watchProgress();
  const sent = await send(there, await local(content), 'there', { onProgress: sending.onProgress });
  expect(sent).toMatchObject({
    sentBytes: size,
    resumedBytes: 0,
    retries: 0,
    receipt: { path: 'there', size, durability: 'disk' },
  });
  if (digest === 'sha256') expect(sent.receipt.digest).toBe(sha256FileDigest(content));
  else expect(sent.receipt.digest).toMatch(/^blake3-1m:[0-9a-f]{64}$/);
  expect(sending.events.at(-1)).toMatchObject({ totalBytes: size, doneBytes: size, movedBytes: size });
  expect((await readFile(join(root, 'there'))).equals(content)).toBe(true);

  const fetching = watchProgress();
  const target = join(directory, 'back');
  const fetched = await fetchTo(there, 'there', target, { onProgress: fetching.onProgress });
  expect(fetched).toMatchObject({
    path: 'there',
    size,
    digest: sent.receipt.digest,
    etag: sent.receipt.etag,
    receivedBytes: size,
    resumedBytes: 0,
    retries: 0,
  });
  expect(fetching.events.at(-1)).toMatchObject({ totalBytes: size, doneBytes: size, movedBytes: size });
  expect((await readFile(target)).equals(content)).toBe(true);
});

test.each(NAMES)('the name %j is kept there and here', async (name) => {
  const { connector, local, root, directory } = await startSetting();
  const content = noise(MIB + 1);
  const there = connector();
  const { receipt } = await send(there, await local(content), name);
  expect(receipt.path).toBe(name);
  expect((await readFile(join(root, name))).equals(content)).toBe(true);
  await fetchTo(there, name, join(directory, 'parents', name));
  expect((await readFile(join(directory, 'parents', name))).equals(content)).toBe(true);
});

test('times are kept, and what the caller says goes before what the file says', async () => {
  const { connector, local, root, directory } = await startSetting();
  const file = await local(noise(10));
  const mtime = new Date('2001-02-03T04:05:06.789Z');
  await utimes(file, mtime, mtime);
  const there = connector();
  await send(there, file, 'kept');
  await send(there, file, 'told', { mtimeMs: 1_000, mode: 0o640 });
  expect((await stat(join(root, 'kept'))).mtime).toEqual(mtime);
  const told = await stat(join(root, 'told'));
  expect([Math.floor(told.mtimeMs), told.mode & 0o777]).toEqual([1_000, 0o640]);
  await fetchTo(there, 'kept', join(directory, 'back'));
  expect((await stat(join(directory, 'back'))).mtime).toEqual(mtime);
});

test('an empty file over what was something leaves an empty file', async () => {
  const { connector, local, remote, root } = await startSetting();
  await remote(noise(3 * MIB), 'file');
  await send(connector(), await local(Buffer.alloc(0)), 'file');
  expect((await readFile(join(root, 'file'))).length).toBe(0);
});

test('a server that is slow to write is sent more than two blocks, which it has received', async () => {
  const store = new GatedStore();
  const { address } = await startTestServer({ store });
  const pin = certificatePin(new X509Certificate((await loopbackCertificate()).cert));
  const writing = store.hold('write 0');
  const last = store.hold('write 3');
  const { local } = await startSetting();
  const content = noise(5 * MIB);
  const sending = send(connectorTo(address, pin, { token: tokenOf('tester') }), await local(content), 'slow');
  // The first block is being written still, and those after it wait for it to be answered.
  await last.reached();
  last.open();
  writing.open();
  expect((await sending).receipt.size).toBe(5 * MIB);
});

test('a server whose disk did not take the data is sent all of it again', async () => {
  const files = new FaultyFiles();
  const store = await FileStore.open({ root: await temporaryDirectory(), files });
  onTestFinished(() => store[Symbol.asyncDispose]());
  const { address, login } = await startTestServer({ store });
  const pin = certificatePin(new X509Certificate((await loopbackCertificate()).cert));
  const { local } = await startSetting();
  const content = noise(3 * MIB);
  files.failNamed('file.sync', 'EIO');
  const sent = await send(
    connectorTo(address, pin, { token: tokenOf('tester') }),
    await local(content),
    'file',
  );
  expect(sent).toMatchObject({ sentBytes: 2 * content.length, retries: 1, receipt: { durability: 'disk' } });
  expect((await fetched(await login(), 'file'))?.equals(content)).toBe(true);
});
