import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { nextTurn } from '../../src/clock.ts';
import { SealiftError } from '../../src/errors.ts';
import { REQUESTS, type Action, type Request } from '../../src/protocol/requests.ts';
import { PERMISSIONS, type Permission } from '../../src/protocol/responses.ts';
import { authorize } from '../../src/server/authorization.ts';
import { FileStore } from '../../src/storage/fs/fs-store.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { unlimitedGrant } from '../../src/trust/grant.ts';
import type { RawClient } from '../support/raw-client.ts';
import { bytesOf, putBlocks, putInline } from '../support/raw-upload.ts';
import { startTestServer, temporaryDirectory, type TestUser } from '../support/test-server.ts';

/** Every request that is judged differently, with the sets of permissions of which any one is enough. */
const CASES: readonly (readonly [string, Record<string, unknown>, readonly string[]])[] = [
  ['hello', {}, ['']],
  ['ping', {}, ['']],
  ['echo', {}, ['']],
  ['cancel', {}, ['']],
  ['put', {}, ['write']],
  ['put', { base: 'partial' }, ['write']],
  ['put', { base: 'existing' }, ['write read']],
  ['block', {}, ['write']],
  ['commit', {}, ['write']],
  ['abort', {}, ['write']],
  ['get', {}, ['read']],
  ['digests', {}, ['read']],
  ['file-digests', {}, ['read']],
  ['stat', {}, ['list', 'read']],
  ['stat', { digest: true }, ['read']],
  ['list', {}, ['list']],
  ['search', {}, ['list']],
  ['set', {}, ['write delete']],
  ['mkdir', {}, ['write']],
  ['symlink', {}, ['write']],
  ['remove', {}, ['delete']],
  ['move', {}, ['write delete']],
  ['sync', {}, ['write']],
  ['bench', {}, ['write']],
  ['lock', {}, ['']],
  ['unlock', {}, ['']],
];

/** All subsets of the permissions. */
const SUBSETS = Array.from({ length: 2 ** PERMISSIONS.length }, (_, bits) =>
  PERMISSIONS.filter((__, index) => (bits >> index) & 1),
);

test.each(CASES)('%s %j needs %j', (action, fields, enough) => {
  const request = { action, id: 1, fields } as unknown as Request;
  for (const permissions of SUBSETS) {
    const isAllowed = enough.some((set) =>
      set.split(' ').every((each) => each === '' || permissions.includes(each as Permission)),
    );
    const outcome = refusalOf(() => authorize(request, unlimitedGrant(permissions)));
    expect(outcome, permissions.join(' ')).toBe(isAllowed ? undefined : 'forbidden');
  }
});

test('the table above names every action', () => {
  expect(new Set(CASES.map(([action]) => action))).toEqual(new Set(Object.keys(REQUESTS)));
});

/** How each action may name a path when `photos/2024` and `notes` are granted. */
const PLACES = {
  notes: 'granted',
  'notes/a': 'granted',
  'photos/2024': 'granted',
  'photos/2024/may/1.jpg': 'granted',
  photos: 'on the way',
  '': 'on the way',
  'photos/2023': 'outside',
  'photos/20245': 'outside',
  notes2: 'outside',
  'other/notes': 'outside',
  Notes: 'outside',
} as const;

/** The fields of each action that name a path; `upload` stands for where the upload goes. */
const NAMING: Readonly<Record<Action, readonly ('path' | 'to' | 'upload')[]>> = {
  hello: [],
  ping: [],
  echo: [],
  cancel: [],
  lock: [],
  unlock: [],
  search: [],
  sync: [],
  bench: [],
  put: ['path'],
  block: ['upload'],
  commit: ['upload'],
  abort: ['upload'],
  get: ['path'],
  digests: ['path'],
  // By each path of its content.
  'file-digests': [],
  stat: ['path'],
  list: ['path'],
  set: ['path'],
  mkdir: ['path'],
  symlink: ['path'],
  remove: ['path'],
  move: ['path', 'to'],
};
const SEEN_ON_THE_WAY: readonly string[] = ['stat', 'list', 'mkdir'];

describe.each(Object.entries(NAMING))('%s, limited to some paths', (action, naming) => {
  const grant = { permissions: new Set(PERMISSIONS), prefixes: ['photos/2024', 'notes'] };
  const judge = (places: Record<string, string>) => {
    const { upload: uploadPath, ...fields } = places;
    const request = { action, id: 1, fields } as unknown as Request;
    return refusalOf(() => authorize(request, grant, { uploadPath }));
  };

  test.each(naming.flatMap((field) => Object.entries(PLACES).map(([path, place]) => [field, path, place])))(
    '%s %j, which is %s',
    (field, path, place) => {
      const others = Object.fromEntries(naming.map((each) => [each, 'notes/other']));
      const isAllowed = place === 'granted' || (place === 'on the way' && SEEN_ON_THE_WAY.includes(action));
      expect(judge({ ...others, [field]: path })).toBe(isAllowed ? undefined : 'forbidden');
    },
  );

  test('no path is named: the permissions decide alone', () => {
    expect(judge({})).toBe(undefined);
  });
});

describe('over the wire', () => {
  const UPLOAD = 'x'.repeat(22);
  const hex = '0'.repeat(64);
  const requests: readonly (readonly [string, Record<string, unknown>])[] = [
    ['put', { path: 'a', size: 2_000_000 }],
    ['block', { upload: UPLOAD, index: 0, digest: `sha256:${hex}` }],
    ['commit', { upload: UPLOAD, size: 0, digest: `sha256-1m:${hex}` }],
    ['abort', { upload: UPLOAD }],
    ['get', { path: 'a' }],
    ['digests', { path: 'a' }],
    ['stat', { path: '' }],
    ['list', { path: '' }],
    ['search', { query: 'a' }],
    ['set', { path: 'a' }],
    ['mkdir', { path: 'a' }],
    ['symlink', { path: 'a', target: 'b' }],
    ['remove', { path: 'a' }],
    ['move', { path: 'a', to: 'b' }],
    ['sync', {}],
  ];

  test('who may only add can change the attributes of what it added, and of nothing else', async () => {
    const { login } = await startTestServer({ users: { adder: { permissions: ['write'] }, owner: {} } });
    const [owner, adder] = [await login('owner'), await login('adder')];
    await putInline(owner, 'file', bytesOf(5));
    await owner.askOk('mkdir', { path: 'directory', 'mtime-ms': 5 });
    await adder.askOk('mkdir', { path: 'directory' });
    await putInline(adder, 'file', bytesOf(6));
    for (const path of ['file', 'directory', 'nothing'])
      expect((await adder.ask('set', { path, mode: 0 })).header['code'], path).toBe('forbidden');
    await adder.askOk('mkdir', { path: 'made' });
    await putInline(adder, 'made/inline', bytesOf(7));
    await putBlocks(adder, 'made/blocks', bytesOf(7));
    await adder.askOk('symlink', { path: 'made/link', target: 'x' });
    for (const path of ['made/inline', 'made/blocks', 'made/link', 'made'])
      await adder.askOk('set', { path, 'mtime-ms': 9 });
    expect((await owner.askOk('stat', { path: 'made' })).header['mtime-ms']).toBe(9);
    // What was made on another connection may be somebody else's by now.
    const later = await login('adder');
    expect((await later.ask('set', { path: 'made', 'mtime-ms': 1 })).header['code']).toBe('forbidden');
  });

  test('of very much that was added the oldest is forgotten, and no directory for a link', async () => {
    const { login } = await startTestServer({ users: { adder: { permissions: ['write'] } } });
    const adder = await login();
    const set = async (path: string) => (await adder.ask('set', { path, 'mtime-ms': 9 })).header['code'];
    await adder.askOk('mkdir', { path: 'directory' });
    const far = Array<string>(16).fill('n'.repeat(250)).join('/');
    const links = Array.from({ length: 1_100 }, (_, index) => `${far}/${index}`);
    await Promise.all(links.map((path) => adder.askOk('symlink', { path, target: 'x' })));
    expect(await set(links[0] ?? '')).toBe('forbidden');
    for (const path of [links.at(-1) ?? '', 'directory']) expect(await set(path)).toBeUndefined();
  });

  describe.each(['memory', 'directory'])('what took the place of what was made, in a %s,', (kind) => {
    const make: Record<string, (client: RawClient, path: string) => Promise<unknown>> = {
      'small file': (client, path) => putInline(client, path, bytesOf(5)),
      'file in blocks': (client, path) => putBlocks(client, path, bytesOf(5)),
      link: (client, path) => client.askOk('symlink', { path, target: 'x' }),
      directory: (client, path) => client.askOk('mkdir', { path }),
    };
    const attributes = { 'mtime-ms': 9, mode: 0o600 };

    test.each(Object.entries(make))('is not for its maker to change: %s', async (path, made) => {
      const root = await temporaryDirectory();
      const store = kind === 'memory' ? new MemoryStore() : await FileStore.open({ root });
      onTestFinished(() => store[Symbol.asyncDispose]());
      const users: Record<string, TestUser> = { adder: { permissions: ['write', 'list'] }, owner: {} };
      const { login } = await startTestServer({ users, store });
      const [owner, adder] = [await login('owner'), await login('adder')];
      const set = async () => (await adder.ask('set', { path, ...attributes })).header['code'] ?? 'ok';

      await made(adder, path);
      expect([await set(), await set()]).toEqual(['ok', 'ok']);
      await owner.askOk('move', { path, to: 'away' });
      expect(await set()).toBe('not-found');
      await owner.askOk('move', { path: 'away', to: path });
      expect(await set()).toBe('ok');

      await nextTick(root);
      await owner.askOk('remove', { path });
      await made(owner, path);
      const before = (await owner.askOk('stat', { path })).header;
      expect(await set()).toBe('forbidden');
      // That it stands there already makes it nobody's own.
      await adder.ask('mkdir', { path });
      expect(await set()).toBe('forbidden');
      expect((await owner.askOk('stat', { path })).header).toMatchObject({
        ...before,
        id: expect.any(Number),
      });
    });
  });

  test('who may do nothing is forbidden everything but to talk and to hold leases', async () => {
    const { login } = await startTestServer({ users: { nobody: { permissions: [] } } });
    const client = await login();
    for (const [action, fields] of requests) {
      const { header } = await client.ask(action, fields);
      expect(header, action).toMatchObject({ status: 'error', code: 'forbidden', retryable: false });
    }
    await client.askOk('ping');
    await client.askOk('echo');
    await client.askOk('cancel', { target: 99 });
    await client.askOk('lock', { name: 'a', 'ttl-ms': 1 });
    await client.askOk('unlock', { name: 'a' });
  });
});

/** Resolves once what is made in `directory` is younger than all that was made there: the clock of a file system ticks every few milliseconds. */
async function nextTick(directory: string): Promise<void> {
  const now = async () => {
    const path = join(directory, 'clock');
    await rm(path, { force: true });
    await writeFile(path, '');
    return (await stat(path, { bigint: true })).birthtimeNs;
  };
  const beganNs = await now();
  while ((await now()) === beganNs) await nextTurn();
}

/** The code with which `judge` refuses; undefined if it does not. */
function refusalOf(judge: () => void): string | undefined {
  try {
    judge();
    return undefined;
  } catch (error) {
    if (error instanceof SealiftError) return error.code;
    throw error;
  }
}
