import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';

import { streamSink } from '../../src/client/block-sink.ts';
import { download } from '../../src/client/download.ts';
import { MIB, noise, startSetting } from './setting.ts';

test('who asks something else for each entry of a long listing gets its answers', async () => {
  const { connector, root } = await startSetting();
  // More than two pages of 256 KiB, so that parts are still to come while the first is read.
  const names = Array.from({ length: 900 }, (_, index) => `${index}-${'x'.repeat(200)}`);
  for (const name of names) writeFileSync(join(root, name), '');
  const client = await connector().use();
  const sizes: number[] = [];
  for await (const { path } of client.list('')) {
    if (sizes.length % 100 === 0) await client.stat(path);
    sizes.push(path.length);
  }
  expect(sizes).toHaveLength(names.length);
});

test('a stream may keep what was written to it for as long as it likes', async () => {
  const { connector, remote } = await startSetting();
  const content = noise(12 * MIB);
  await remote(content);
  const kept: Buffer[] = [];
  const stream = new Writable({ write: (piece: Buffer, _encoding, done) => void (kept.push(piece), done()) });
  await download(connector(), 'file', streamSink(stream));
  expect(Buffer.concat(kept).equals(content)).toBe(true);
});
