import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { errorCodes, startAttackedServer } from '../support/attacked-server.ts';
import type { RawClient } from '../support/raw-client.ts';
import { blockRequest, blocksOf, commitRequest, inlinePut, type RawRequest } from '../support/raw-files.ts';
import { temporaryDirectory } from '../support/test-server.ts';

const CONTENT = Buffer.alloc(1_048_577, 'x');

/** Every way to reach for a path. */
const ATTEMPTS: [string, (path: string) => RawRequest][] = [
  ['put', (path) => inlinePut(path, 'planted')],
  ['put if absent', (path) => inlinePut(path, 'planted', { if: 'absent' })],
  ['put in blocks', (path) => ['put', { path, size: CONTENT.length }]],
  ['put on what stands', (path) => ['put', { path, size: CONTENT.length, base: 'existing' }]],
  ['get', (path) => ['get', { path }]],
  ['digests', (path) => ['digests', { path }]],
  ['stat', (path) => ['stat', { path }]],
  ['stat with digest', (path) => ['stat', { path, digest: true }]],
  ['list', (path) => ['list', { path, recursive: true }]],
  ['set', (path) => ['set', { path, mode: 0, 'mtime-ms': 0 }]],
  ['mkdir', (path) => ['mkdir', { path }]],
  ['symlink', (path) => ['symlink', { path, target: '/etc/passwd' }]],
  ['remove', (path) => ['remove', { path, recursive: true }]],
  ['move from', (path) => ['move', { path, to: 'stolen' }]],
  ['move to', (path) => ['move', { path: 'mine', to: path }]],
];

const codesOf = async (
  client: RawClient,
  request: (path: string) => RawRequest,
  paths: readonly string[],
) => {
  const codes = new Set<unknown>();
  for (const path of paths) codes.add((await client.ask(...request(path))).header['code']);
  return [...codes];
};

describe('hazard 9: names that lead elsewhere', () => {
  const control = [...Array(0x20).keys(), ...Array.from({ length: 0x21 }, (_, index) => 0x7f + index)];
  const paths = [
    '..',
    '.',
    '../x',
    'a/../../x',
    './x',
    'a/.',
    '/etc/passwd',
    '//x',
    'a//b',
    'a/',
    '/',
    ...control.map((code) => `a${String.fromCharCode(code)}b`),
    'x'.repeat(256),
    'ü'.repeat(128),
    'x/'.repeat(2_500) + 'x',
    `${'x'.repeat(255)}/`.repeat(16) + 'xx',
  ];

  test.each(ATTEMPTS)('%s', async (_, request) => {
    const { login, root } = await startAttackedServer();
    const client = await login();
    await client.askOk(...inlinePut('mine', 'mine'));
    expect(await codesOf(client, request, paths)).toEqual(['bad-name']);
    expect(readdirSync(root).sort()).toEqual(['.sealift', 'mine']);
  });

  test('what a shell, a browser or another system would read into a name is its letters', async () => {
    const { login, root } = await startAttackedServer();
    const client = await login();
    const names = [
      '~',
      '$HOME',
      '%2e%2e%2fx',
      '..%2f',
      '`id`',
      '; rm -rf x',
      '-rf',
      'C:\\x',
      '..\\x',
      '*',
      '\u2024\u2024',
      '.. ',
    ];
    for (const name of names) await client.askOk(...inlinePut(name, name));
    for (const name of names) expect(readFileSync(join(root, name), 'utf8')).toBe(name);
    expect(readdirSync(root).sort()).toEqual(['.sealift', ...names].sort());
  });
});

describe('hazard 11: directories whose name begins alike', () => {
  test.each(ATTEMPTS)('%s', async (_, request) => {
    const { login, root } = await startAttackedServer();
    const client = await login();
    mkdirSync(`${root}-evil`);
    writeFileSync(`${root}-evil/secret`, 'secret');
    try {
      const name = basename(root);
      const paths = [`../${name}-evil/secret`, `${root}-evil/secret`, `/${name}-evil/secret`];
      expect(await codesOf(client, request, paths)).toEqual(['bad-name']);
      expect(readFileSync(`${root}-evil/secret`, 'utf8')).toBe('secret');
    } finally {
      execFileSync('rm', ['-r', `${root}-evil`]);
    }
  });
});

describe('hazard 12: links planted in the root', () => {
  test.each(ATTEMPTS)('%s does not go through one that stands in the way', async (_, request) => {
    const { login, outside, assertOutsideIsUntouched } = await startWithLinks();
    const client = await login();
    await client.askOk(...inlinePut('mine', 'mine'));
    const below = ['to-directory/file', 'to-directory/new', 'dir/to-directory/file', 'to-file/x'];
    expect(await codesOf(client, request, below)).toEqual(['not-directory']);
    expect(JSON.stringify(client.messages.map(({ header }) => header))).not.toContain(outside);
    assertOutsideIsUntouched();
  });

  test.each(ATTEMPTS)('%s takes the link itself, or refuses it', async (_, request) => {
    const { login, assertOutsideIsUntouched } = await startWithLinks();
    const client = await login();
    await client.askOk(...inlinePut('mine', 'mine'));
    const answers = [await client.ask(...request('to-file')), await client.ask(...request('to-directory'))];
    for (const answer of answers) expect(answer.content.includes('secret')).toBe(false);
    expect(errorCodes(client)).not.toContain('internal');
    assertOutsideIsUntouched();
  });

  test('one made by a client itself leads nowhere either', async () => {
    const { login, outside, assertOutsideIsUntouched } = await startWithLinks();
    const client = await login();
    await client.askOk(...inlinePut('mine', 'mine'));
    for (const [path, target] of [
      ['own', outside],
      ['up', '..'],
      ['proc', '/proc/self/root'],
      ['round', 'round'],
    ] as const)
      await client.askOk('symlink', { path, target });
    for (const [, request] of ATTEMPTS)
      expect(await codesOf(client, request, ['own/file', 'up/x', 'proc/etc/passwd', 'round/x'])).toEqual([
        'not-directory',
      ]);
    const { content } = await client.askOk('list', { path: '', recursive: true });
    expect(content.toString()).not.toMatch(/own\/|up\/|secret/);
    assertOutsideIsUntouched();
  });

  test('one that takes the place of a parent, or of the file, while an upload is under way', async () => {
    const { login, root, outside, assertOutsideIsUntouched } = await startWithLinks();
    const client = await login();
    const outcomes: unknown[] = [];
    for (const path of ['dir/file', 'file']) {
      const { header } = await client.askOk('put', { path, size: CONTENT.length });
      const { upload } = header;
      for (const [index, block] of blocksOf(CONTENT).entries())
        await client.askOk(...blockRequest(upload, index, block));
      if (path === 'file') symlinkSync(join(outside, 'file'), join(root, 'file'));
      else {
        renameSync(join(root, 'dir'), join(root, 'was'));
        symlinkSync(outside, join(root, 'dir'));
      }
      const answer = await client.ask(...commitRequest(upload, CONTENT));
      outcomes.push(answer.header['code'] ?? answer.header['status']);
    }
    expect(outcomes).toEqual(['not-directory', 'ok']);
    expect(lstatSync(join(root, 'file')).isFile()).toBe(true);
    assertOutsideIsUntouched();
  });

  test('one that takes the place of a file while it is being read', async () => {
    const { login, root, outside } = await startWithLinks();
    const client = await login();
    writeFileSync(join(root, 'large'), Buffer.alloc(3 * 1_048_576, 'l'));
    const reading = client.begin('get', { path: 'large' });
    await client.take(({ header }) => header['id'] === reading);
    renameSync(join(root, 'large'), join(root, 'aside'));
    symlinkSync(join(outside, 'file'), join(root, 'large'));
    const { header, parts } = await client.answer(reading);
    expect(header['status']).toBe('ok');
    expect(parts.every(({ content }) => content.every((byte) => byte === 0x6c))).toBe(true);
  });

  test('one that takes turns with a directory', async () => {
    const { login, root, outside, assertOutsideIsUntouched } = await startWithLinks();
    const client = await login();
    const answers: Promise<unknown>[] = [];
    symlinkSync(outside, join(root, 'link'));
    for (let round = 0; round < 60; round += 1) {
      for (const [, request] of ATTEMPTS.filter(([name]) => !name.startsWith('move')))
        answers.push(client.ask(...request('dir/file')));
      if (existsSync(join(root, 'dir'))) renameSync(join(root, 'dir'), join(root, 'away'));
      renameSync(join(root, 'link'), join(root, 'dir'));
      await Promise.all(answers.splice(0, 5));
      renameSync(join(root, 'dir'), join(root, 'link'));
      if (existsSync(join(root, 'away'))) renameSync(join(root, 'away'), join(root, 'dir'));
      await Promise.all(answers.splice(0));
    }
    expect(client.messages.some(({ content }) => content.includes('secret'))).toBe(false);
    expect(errorCodes(client)).not.toContain('internal');
    assertOutsideIsUntouched();
  });
});

describe('hazard 13: what is no file', () => {
  test('a FIFO is neither shown nor opened', async () => {
    const { login, root, assertAlive } = await startAttackedServer();
    execFileSync('mkfifo', [join(root, 'fifo')]);
    const client = await login();
    for (const [name, request] of ATTEMPTS.filter(([name]) =>
      /^(get|digests|stat|set|remove|move from)/.test(name),
    ))
      expect([name, ...(await codesOf(client, request, ['fifo']))]).toEqual([name, 'not-found']);
    expect((await client.askOk('list', { path: '' })).content.toString()).toBe('{"entries":[]}');
    await assertAlive();
  });

  test('bits that lend powers are dropped', async () => {
    const { login, root } = await startAttackedServer();
    const client = await login();
    await client.askOk(...inlinePut('file', '#!', { mode: 0o7755 }));
    await client.askOk('set', { path: 'file', mode: 0o6711 });
    await client.askOk('mkdir', { path: 'dir', mode: 0o7777 });
    expect(['file', 'dir'].map((name) => lstatSync(join(root, name)).mode & 0o7777)).toEqual([0o711, 0o777]);
  });
});

describe('hazard 14: the state directory', () => {
  const spellings = [
    '.sealift',
    '.SEALIFT',
    '.Sealift',
    '.ＳＥＡＬＩＦＴ',
    '.ſealift',
    '.sea\u200blift',
    '\u2060.sealift',
    '.s\u00adealift',
  ];
  const paths = spellings.flatMap((name) => [
    name,
    `${name}/users.toml`,
    `${name}/uploads/x`,
    `${name}/identity/key.pem`,
  ]);

  test.each(ATTEMPTS)('%s', async (_, request) => {
    const { login, root } = await startAttackedServer();
    const client = await login();
    await client.askOk(...inlinePut('mine', 'mine'));
    expect(await codesOf(client, request, paths)).toEqual(['bad-name']);
    expect(readdirSync(root).sort()).toEqual(['.sealift', 'mine']);
  });

  test('is in no listing and no search', async () => {
    const { login } = await startAttackedServer();
    const client = await login();
    for (const [action, fields] of [
      ['list', { path: '', recursive: true }],
      ['search', { query: '' }],
      ['search', { query: '**' }],
    ] as const)
      expect((await client.askOk(action, fields)).content.toString()).not.toContain('sealift');
  });
});

/** A served directory with links in it to one outside, which holds a secret. */
async function startWithLinks() {
  const started = await startAttackedServer();
  const outside = await temporaryDirectory();
  writeFileSync(join(outside, 'file'), 'secret', { mode: 0o640 });
  const before = lstatSync(join(outside, 'file'));
  mkdirSync(join(started.root, 'dir'));
  for (const name of ['to-directory', 'dir/to-directory']) symlinkSync(outside, join(started.root, name));
  symlinkSync(join(outside, 'file'), join(started.root, 'to-file'));
  return {
    ...started,
    outside,
    assertOutsideIsUntouched: () => {
      const { mode, mtimeMs, ino } = lstatSync(join(outside, 'file'));
      expect(readdirSync(outside)).toEqual(['file']);
      expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('secret');
      expect([mode, mtimeMs, ino]).toEqual([before.mode, before.mtimeMs, before.ino]);
    },
  };
}
