import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, expectTypeOf, test } from 'vitest';

import * as library from '../../src/index.ts';
import { noise, MIB } from '../client/setting.ts';
import { temporaryDirectory } from '../support/test-server.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const EXAMPLE = fileURLToPath(new URL('./library-example.ts', import.meta.url));
const README = await readFile(join(ROOT, 'README.md'), 'utf8');

/** The code below the place in the README where the example belongs; undefined while there is none. */
const quoted = /<!-- example: test\/integration\/library-example\.ts -->\s*```ts\n(.*?)```/s.exec(
  README,
)?.[1];

/** A directory of a newcomer, who has installed the package and copied the example. */
async function newcomer(): Promise<string> {
  const directory = await temporaryDirectory();
  const installed = join(directory, 'node_modules/sealift');
  await mkdir(installed, { recursive: true });
  await writeFile(
    join(installed, 'package.json'),
    JSON.stringify({ name: 'sealift', type: 'module', exports: './index.ts' }),
  );
  await symlink(join(ROOT, 'src/index.ts'), join(installed, 'index.ts'));
  await writeFile(join(directory, 'package.json'), JSON.stringify({ type: 'module' }));
  await copyFile(EXAMPLE, join(directory, 'example.ts'));
  return directory;
}

test('the example runs as it is, and ends by itself', async () => {
  const directory = await newcomer();
  const photos = noise(3 * MIB + 1);
  await writeFile(join(directory, 'photos.tar'), photos);
  await mkdir(join(directory, 'photos/2026'), { recursive: true });
  await writeFile(join(directory, 'photos/2026/cat'), 'a cat');
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--no-warnings', 'example.ts'], {
    cwd: directory,
  });
  expect(stderr).toBe('');
  expect(stdout.split('\n')).toEqual([
    'notes 0',
    'notes/hello.txt 7',
    expect.stringMatching(`^backup/photos\\.tar ${photos.length} (sha256|blake3)-1m:[0-9a-f]{64}$`),
    'All is there.',
    '',
  ]);
  expect((await readFile(join(directory, 'served/backup/photos.tar'))).equals(photos)).toBe(true);
  expect((await readFile(join(directory, 'copy.tar'))).equals(photos)).toBe(true);
  expect(await readFile(join(directory, 'served/photos/2026/cat'), 'utf8')).toBe('a cat');
  expect((await readdir(directory)).filter((name) => name.startsWith('.'))).toEqual([]);
});

test.skipIf(quoted === undefined)('the README quotes the example word for word', async () => {
  expect(quoted).toBe(await readFile(EXAMPLE, 'utf8'));
});

test('what the library offers is offered on purpose', () => {
  expect(Object.keys(library).sort()).toEqual([
    'Client',
    'Connector',
    'DEFAULT_RETRY_POLICY',
    'ERROR_CODES',
    'GetTree',
    'PartialFile',
    'PutTree',
    'ResumeKeys',
    'SealiftError',
    'acquireLease',
    'balanced',
    'checkTrees',
    'connect',
    'copyTree',
    'createServer',
    'download',
    'fileSink',
    'isSealiftError',
    'openFileSource',
    'streamSink',
    'streamSource',
    'syncTree',
    'treeFilter',
    'upload',
  ]);
});

test('what its calls take and resolve with can be named', () => {
  type Tree = library.TreeDirection;
  expectTypeOf<library.Client['get']>().returns.resolves.toEqualTypeOf<library.WholeFile>();
  expectTypeOf<library.Client['peer']>().toEqualTypeOf<library.Peer>();
  expectTypeOf<library.Client['algorithm']>().toEqualTypeOf<library.DigestAlgorithm>();
  expectTypeOf<library.Client['request']>().returns.resolves.toEqualTypeOf<library.Message>();
  expectTypeOf<library.BlockSink['hash']>().returns.resolves.toEqualTypeOf<library.BlockMap>();
  expectTypeOf<Required<library.TransferOptions>>().toMatchObjectType<{
    clock: library.Clock;
    random: library.Random;
    sharedProgress: library.SharedProgress;
  }>();
  expectTypeOf(library.checkTrees).parameter(1).toEqualTypeOf<library.CheckOptions>();
  expectTypeOf<
    NonNullable<library.CreateServerOptions['decorateStore']>
  >().returns.toEqualTypeOf<library.Store>();
  expectTypeOf<Tree['scanSource']>().parameter(0).toEqualTypeOf<library.ScanOptions>();
  expectTypeOf<Tree['nameFolding']>().returns.resolves.toEqualTypeOf<library.NameFolding>();
  expectTypeOf<Tree['makeDirectory']>().returns.resolves.toEqualTypeOf<library.Unsynced | undefined>();
  expectTypeOf<Tree['set']>().parameter(1).toEqualTypeOf<library.Attributes>();
  expectTypeOf<Tree['send']>().parameters.toEqualTypeOf<[library.SendAction, library.SendHooks]>();
  expectTypeOf<NonNullable<library.TreeObserver['onSkipped']>>()
    .parameter(1)
    .toEqualTypeOf<library.SkipReason>();
  expectTypeOf<library.SyncTreeOptions['maxDelete']>().toEqualTypeOf<library.MaxDelete | undefined>();
  expectTypeOf<NonNullable<library.SyncTreeOptions['onCount']>>()
    .parameter(0)
    .toEqualTypeOf<library.Totals>();
});

test('its errors are told apart by code', () => {
  const error = new library.SealiftError('stalled', 'Silence.', { hint: 'Look at the cable.' });
  expect(library.isSealiftError(error)).toBe(true);
  expect(library.isSealiftError(error, 'busy', 'stalled')).toBe(true);
  expect(library.isSealiftError(error, 'busy')).toBe(false);
  expect(library.isSealiftError(new Error('stalled'))).toBe(false);
  expect(error).toMatchObject({ name: 'SealiftError', retryable: true, hint: 'Look at the cable.' });
  expect(new Set(library.ERROR_CODES).size).toBe(library.ERROR_CODES.length);
});

test('who uses it joins a server by code, and comes back with the token', async () => {
  const root = await temporaryDirectory();
  const server = await library.createServer({ root, host: '127.0.0.1', port: 0 });
  const there = { address: server.address, pins: [server.pin] };
  await expect(library.connect(there)).rejects.toMatchObject({ code: 'unauthenticated' });
  const join = await server.issueJoinCode();
  const joined = await library.connect({ ...there, join });
  const { token } = joined.hello;
  await joined.put('file', Buffer.from('x'));
  await joined.close();
  await expect(library.connect({ ...there, join })).rejects.toMatchObject({ code: 'unauthenticated' });
  const back = await library.connect({ ...there, token });
  expect((await back.get('file')).content.toString()).toBe('x');
  expect(server.principalCount).toBe(1);
  await back.close();
  await server.close();
});

test('a server whose pin is another is told nothing', async () => {
  const root = await temporaryDirectory();
  const server = await library.createServer({ root, host: '127.0.0.1', port: 0, anonymous: 'write' });
  const pins = [`sha256//${Buffer.alloc(32).toString('base64')}`];
  await expect(library.connect({ address: server.address, pins })).rejects.toMatchObject({
    code: 'pin-mismatch',
    hint: expect.any(String),
  });
  await expect(library.connect({ address: server.address })).rejects.toMatchObject({
    code: 'certificate-untrusted',
  });
  await server[Symbol.asyncDispose]();
});
