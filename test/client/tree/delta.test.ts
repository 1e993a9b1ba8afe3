import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { PutTree } from '../../../src/client/tree/put-tree.ts';
import { certificatePin } from '../../../src/trust/pins.ts';
import { loopbackCertificate } from '../../support/certificates.ts';
import { GatedStore } from '../../support/gated-store.ts';
import { plantTree, setTime } from '../../support/planted-tree.ts';
import { startTestServer, temporaryDirectory, tokenOf } from '../../support/test-server.ts';
import { AT_ONCE, connectorTo, MIB, noise } from '../setting.ts';
import { copy, startTrees, WAYS } from './tree-setting.ts';

const old = noise(32 * MIB);
const changed = Buffer.from(old);
noise(MIB, 9).copy(changed, 15.5 * MIB);
const longer = Buffer.concat([old, noise(MIB, 8)]);

describe.each(WAYS)('%s: of a large file that stands at the target', (way) => {
  test.each<[string, content: Buffer, delta: 'auto' | 'on' | 'off', movedBytes: number]>([
    ['1 MiB in the middle is changed', changed, 'auto', 2 * MIB],
    ['1 MiB is appended', longer, 'auto', MIB],
    ['it is cut in the middle of a block', old.subarray(0, 9.5 * MIB), 'auto', 0],
    ['nothing is used, if that is asked for', changed.subarray(0, 20 * MIB), 'off', 20 * MIB],
  ])('%s', async (_, content, delta, movedBytes) => {
    const trees = await startTrees(way, { large: content }, { large: { content: old, mtimeMs: 1 } });
    const { told, isComplete } = await copy(trees.direction({ delta }));
    expect(isComplete).toBe(true);
    expect(told.outcomes['large']).toMatchObject({ movedBytes, resumedBytes: content.length - movedBytes });
    expect((await readFile(join(trees.target, 'large'))).equals(content)).toBe(true);
  });

  test.each(['auto', 'on'] as const)('a smaller one is compared when it pays: %s', async (delta) => {
    const content = noise(3 * MIB);
    const trees = await startTrees(way, { file: content }, { file: { content, mtimeMs: 1 } });
    const { told } = await copy(trees.direction({ delta }));
    expect(told.movedBytes).toBe(delta === 'on' ? 0 : 3 * MIB);
  });
});

test('who may not read sends a large file whole, and again if it may be lost', async () => {
  const store = new GatedStore();
  const { server } = await startTestServer({
    store,
    users: { adder: { permissions: ['write', 'list', 'delete'] } },
  });
  const root = await plantTree(join(await temporaryDirectory(), 'source'), {
    large: changed.subarray(0, 5 * MIB),
  });
  const pin = certificatePin(new X509Certificate((await loopbackCertificate()).cert));
  const connector = connectorTo(server.address, pin, { token: tokenOf('adder') });
  const options = { connector, root, top: 'tree', retry: AT_ONCE, archive: true, mustBeNew: false } as const;
  await copy(new PutTree({ ...options, delta: 'auto' }));
  await setTime(join(root, 'large'), 5);
  const gate = store.hold('sync');
  const copying = copy(new PutTree({ ...options, delta: 'on' }));
  await gate.reached();
  server.destroyConnections();
  gate.open();
  const { told, isComplete } = await copying;
  expect([told.failed, isComplete]).toEqual([{}, true]);
  expect(told.movedBytes).toBe(5 * MIB);
});
