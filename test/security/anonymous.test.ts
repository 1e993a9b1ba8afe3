import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { pathsContent, REQUESTS } from '../../src/protocol/requests.ts';
import { startAttackedServer } from '../support/attacked-server.ts';
import { blockRequest, commitRequest, inlinePut, type RawRequest } from '../support/raw-files.ts';

const CHANGES: RawRequest[] = [
  inlinePut('file', 'changed'),
  inlinePut('new', 'new', { if: 'absent' }),
  ['put', { path: 'new', size: null }],
  ['put', { path: 'file', size: 2_000_000, base: 'existing' }],
  blockRequest('x', 0, Buffer.of(1)),
  commitRequest('x', Buffer.of(1)),
  ['abort', { upload: 'x' }],
  ['set', { path: 'file', mode: 0 }],
  ['mkdir', { path: 'new' }],
  ['symlink', { path: 'new', target: 'x' }],
  ['remove', { path: 'file' }],
  ['move', { path: 'file', to: 'new' }],
  ['sync', {}],
  ['bench', {}],
];
/** What those may who are known, whatever else they may. */
const LEASES: RawRequest[] = [
  ['lock', { name: 'x', 'ttl-ms': 1 }],
  ['unlock', { name: 'x' }],
];
const LOOKS: RawRequest[] = [
  ['get', { path: 'file' }],
  ['digests', { path: 'file' }],
  ['file-digests', {}, { content: pathsContent(['file']) }],
  ['stat', { path: 'file', digest: true }],
  ['list', { path: '', recursive: true }],
  ['search', { query: 'file' }],
];
const NEUTRAL = ['hello', 'ping', 'echo', 'cancel'];

describe('hazard 37: who may only look', () => {
  test('the lists here name every action there is', () => {
    const named = [...CHANGES, ...LOOKS, ...LEASES].map(([action]) => action);
    expect([...new Set([...named, ...NEUTRAL])].sort()).toEqual(Object.keys(REQUESTS).sort());
  });

  test.each(['anonymous', 'a reader by name'])('%s changes nothing', async (who) => {
    const { connect, login, root } = await startAttackedServer({
      users: { reader: { permissions: ['read', 'list'] } },
      anonymous: 'read',
    });
    writeFileSync(join(root, 'file'), 'as it was');
    const client = who === 'anonymous' ? await connect() : await login('reader');
    if (who === 'anonymous') await client.hello();
    for (const request of CHANGES)
      expect([request[0], (await client.ask(...request)).header['code']]).toEqual([request[0], 'forbidden']);
    for (const request of LOOKS) await client.askOk(...request);
    for (const request of LEASES)
      expect((await client.ask(...request)).header['code']).toBe(
        who === 'anonymous' ? 'forbidden' : undefined,
      );
    expect(readdirSync(root).sort()).toEqual(['.sealift', 'file']);
    expect(readFileSync(join(root, 'file'), 'utf8')).toBe('as it was');
  });

  test('without --anonymous a stranger gets nothing at all, also not by refusing to say hello', async () => {
    const { connect, root } = await startAttackedServer();
    writeFileSync(join(root, 'file'), 'secret');
    const client = await connect();
    expect((await client.hello()).header['code']).toBe('unauthenticated');
    for (const request of [...CHANGES, ...LOOKS, ...LEASES, ['ping', {}] as RawRequest])
      expect((await client.ask(...request)).header['code']).toBe('unauthenticated');
    client.send({}, { content: Buffer.from('{"action":"search","value":"file"}'), contentType: 'text/json' });
    expect((await client.take()).header['code']).toBe('unauthenticated');
    expect(client.messages.some(({ content }) => content.length > 0)).toBe(false);
  });

  test('who may write but not delete replaces and hides nothing', async () => {
    const { login, root } = await startAttackedServer({
      users: { adder: { permissions: ['write', 'list'] } },
    });
    const client = await login('adder');
    await client.askOk(...inlinePut('file', 'first'));
    for (const request of [
      inlinePut('file', 'second'),
      ['symlink', { path: 'file', target: 'x' }],
      ['remove', { path: 'file' }],
      ['move', { path: 'file', to: 'hidden' }],
      ['get', { path: 'file' }],
      ['put', { path: 'file', size: 5_000_000, base: 'existing' }],
      ['stat', { path: 'file', digest: true }],
    ] as RawRequest[])
      expect((await client.ask(...request)).header['code']).toBe('forbidden');
    expect(readFileSync(join(root, 'file'), 'utf8')).toBe('first');
  });
});
