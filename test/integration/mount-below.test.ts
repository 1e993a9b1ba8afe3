import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Connector, openFileSource, upload, type Client } from '../../src/index.ts';
import { CliHome, SEALIFT, type ServeProcess } from '../support/cli.ts';
import { failureOf } from '../support/failure.ts';
import { canMount } from '../support/mounted-disk.ts';
import { TinyDisk } from '../support/tiny-disk.ts';

const MIB = 2 ** 20;

describe.skipIf(!canMount)('a directory below the root that is a mount of its own', () => {
  const home = new CliHome();
  let disk: TinyDisk;
  let connector: Connector;

  beforeAll(async () => {
    disk = await TinyDisk.mount({ bytes: 24 * MIB, inodes: 250 });
    const mount = (name: string, ...flags: string[]) => {
      mkdirSync(disk.seen('root', name), { recursive: true });
      const [program, ...args] = disk.command(['mount', ...flags, `${disk.path}/root/${name}`]);
      execFileSync(program, args);
    };
    mkdirSync(disk.seen('other'));
    mount('another', '-t', 'tmpfs', 'tmpfs');
    mount('bound', '--bind', `${disk.path}/other`);
    mount('read-only', '-t', 'tmpfs', '-o', 'ro', 'tmpfs');
    mount('holder/in ner', '-t', 'tmpfs', 'tmpfs');
    mkdirSync(disk.seen('root/holder/in ner/directory'));
    writeFileSync(disk.seen('root/holder/in ner/file'), 'text');
    const args = ['serve', `${disk.path}/root`, '--json', '--host', '127.0.0.1', '--port', '0'];
    const serve = home.startCommand(disk.command([...SEALIFT, ...args, '--anonymous', 'write']));
    const { host, port, pin } = (await serve.event('listening')) as unknown as ServeProcess;
    connector = new Connector({ address: { host, port }, pins: [pin] });
  });
  afterAll(async () => {
    await connector[Symbol.asyncDispose]();
    await home.close();
    await disk.close();
  });

  // Where the same file system is mounted a second time, only the system knows that nothing can be renamed into it.
  test.each([
    ['of another file system', 'another', false],
    ['of the same file system', 'bound', true],
  ])('%s takes no large file, and keeps nothing of it', async (_, name, isSent) => {
    for (const path of [`${name}/file`, `${name}/new/deep/file`]) {
      await using source = await openFileSource(home.write('source', Buffer.alloc(3 * MIB, 'Sealift ')));
      let sent = 0;
      const onProgress = ({ movedBytes }: { movedBytes: number }) => (sent = movedBytes);
      const error = await failureOf(upload(connector, source, path, { onProgress }));
      expect(error).toMatchObject({ code: 'unsupported', message: expect.stringContaining(path) });
      expect(sent > 0).toBe(isSent);
      expect(readdirSync(disk.seen('root/.sealift/uploads'))).toEqual([]);
    }
    if (!isSent) expect(readdirSync(disk.seen('root', name))).toEqual([]);
  });

  test.each<[string, (client: Client) => Promise<unknown>]>([
    ['a small file', (client) => client.put('holder/in ner/small', Buffer.from('x'))],
    ['a file in a new directory', (client) => client.put('holder/in ner/new/small', Buffer.from('x'))],
    ['a directory', (client) => client.mkdir('holder/in ner/new/deep')],
    ['a link', (client) => client.symlink('holder/in ner/link', 'x')],
    ['other attributes', (client) => client.set('holder/in ner/file', { mode: 0o600 })],
    ['another name', (client) => client.move('holder/in ner/file', 'holder/in ner/other')],
    ['less', (client) => client.remove('holder/in ner/file')],
    ['less of a tree', (client) => client.remove('holder/in ner/directory', { recursive: true })],
    ['nothing of what it is in', (client) => client.remove('holder', { recursive: true })],
    ['nothing of itself', (client) => client.remove('holder/in ner', { recursive: true })],
  ])('has what it had, where a client wants it to have %s', async (_, change) => {
    const before = statSync(disk.seen('root/holder/in ner/file'));
    expect(await failureOf(change(await connector.use()))).toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('holder/in ner'),
    });
    expect(readdirSync(disk.seen('root/holder/in ner')).sort()).toEqual(['directory', 'file']);
    expect(statSync(disk.seen('root/holder/in ner/file'))).toEqual(before);
  });

  test('and read-only is no root, and is served with what it lies in', async () => {
    const args = [
      'serve',
      `${disk.path}/root/read-only`,
      '--read-only',
      '--host',
      '127.0.0.1',
      '--port',
      '0',
    ];
    const { code, stderr } = await home.startCommand(disk.command([...SEALIFT, ...args])).ended;
    expect([code, stderr]).toEqual([2, expect.stringMatching(/bad-configuration: .*EROFS.*mount/s)]);
    const client = await connector.use();
    expect(await Array.fromAsync(client.list('read-only'))).toEqual([]);
  });
});
