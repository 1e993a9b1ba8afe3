import { describe, expect, test } from 'vitest';

import { MIB, noise } from '../client/setting.ts';
import { contentsAt } from '../support/planted-tree.ts';
import { dir, fetchLies, file, link, type Lie } from './lying-server.ts';

describe('hazard 38: a link of the server is never a way out', () => {
  test.each<[name: string, lies: Lie[], last: Record<string, string>, target: Record<string, string>]>([
    [
      'a file goes through it in the same run',
      [{ listed: [link('a', '../outside'), file('a/precious')] }],
      { a: 'local-file' },
      { 'a/': '', 'a/precious': 'evil' },
    ],
    [
      'or is listed before it',
      [{ listed: [file('a/precious'), link('a', '../outside')] }],
      { a: 'local-file' },
      { 'a/': '', 'a/precious': 'evil' },
    ],
    [
      'in a later run a directory stands in its place',
      [{ listed: [link('a', '../outside')] }, { listed: [dir('a', 0o777), file('a/precious')] }],
      {},
      { 'a/': '', 'a/precious': 'evil' },
    ],
    [
      'in a later run nobody says what stands in its place',
      [{ listed: [link('a', '../outside')] }, { listed: [file('a/precious'), file('a/new/b')] }],
      { 'a/precious': 'local-exists', 'a/new/b': 'local-exists' },
      { a: '-> ../outside' },
    ],
    [
      'and not where nothing is removed, either',
      [
        { listed: [link('a', '../outside/directory')] },
        { listed: [dir('a/b'), link('a/l', '/etc'), file('a/file')], copy: { rules: { delete: false } } },
      ],
      { 'a/b': 'local-exists', 'a/l': 'local-exists', 'a/file': 'local-exists' },
      { a: '-> ../outside/directory' },
    ],
    [
      'a file takes the place of it, and of one to a file',
      [
        { listed: [link('a', '../outside'), link('b', '../outside/precious')] },
        { listed: [file('a'), file('b', noise(2 * MIB))] },
      ],
      {},
      { a: 'evil', b: expect.stringMatching(/^2097152 bytes/) },
    ],
    [
      'what is in it is not removed, only itself',
      [{ listed: [link('a', '../outside/directory'), file('z')] }, { listed: [file('z')] }],
      {},
      { z: 'evil' },
    ],
    [
      'what it leads to gets no time and no bits',
      [
        { listed: [link('a', '../outside/directory'), link('b', '../outside/precious')] },
        {
          listed: [link('a', '../outside/directory'), link('b', '../outside/precious')].map(
            ([path, fields]) => [path, { ...fields, mode: 0o777, 'mtime-ms': 5 }],
          ),
        },
      ],
      {},
      { a: '-> ../outside/directory', b: '-> ../outside/precious' },
    ],
    [
      'link and file both wait for a directory to go',
      [
        { listed: [dir('a'), dir('a/precious'), file('a/precious/x'), file('a/y')] },
        { listed: [link('a', '../outside'), file('a/precious')] },
      ],
      expect.anything() as never,
      expect.anything() as never,
    ],
    [
      'it is a chain',
      [
        { listed: [link('a', 'b'), link('b', '../outside')] },
        { listed: [link('a', 'b'), file('b/precious'), file('a/precious')] },
      ],
      expect.anything() as never,
      expect.anything() as never,
    ],
  ])('%s', async (_, lies, last, target) => {
    const run = await fetchLies(lies);
    expect(run.last).toEqual(last);
    expect(run.target).toEqual(target);
  });

  test('not even as the top of the tree', async () => {
    const top = { type: 'symlink', target: '../outside' };
    const { failed, target } = await fetchLies([{ top }, { listed: [file('precious')] }]);
    expect(failed).toEqual(['bad-request', {}]);
    expect(target).toEqual({ precious: 'evil' });
  });

  test.each([
    { archive: false },
    { ifExists: 'skip' as const },
    { ifExists: 'rename' as const, delete: false },
  ])('nor by other rules: %j', async (rules) => {
    const planted = { a: { link: '../outside' }, b: { link: '../outside/precious' } };
    const listed = [dir('a'), file('a/precious'), file('b'), link('c', '../outside'), file('c/precious')];
    const options = { archive: rules.archive ?? true, mustBeNew: rules.ifExists !== undefined };
    await fetchLies(
      [
        { listed, copy: { rules }, options },
        { listed, copy: { rules }, options },
      ],
      planted,
    );
  });
});

describe('hazard 38: the way to the backup leads nowhere else', () => {
  const links = [link('a', '../outside/directory'), link('b', '../outside')];
  const replaced = [dir('a'), file('a/file', 'evil 1'), dir('b'), file('b/precious', 'evil 1')];
  const again = [dir('a'), file('a/file', 'evil two'), dir('b')];
  const emptied = [dir('a'), dir('b'), file('z')];

  test.each(['backup', 'target/backup', 'target/b/backup', 'target/new/backup'])(
    'kept in %s',
    async (place) => {
      const options = { backupDirectory: place };
      const { failed, backup } = await fetchLies([
        { listed: links, options },
        { listed: replaced, options },
        { listed: again, options },
        { listed: emptied, options },
        { listed: [...links, link('new', '../outside'), link('backup', '../outside')], options },
        { listed: again, options },
      ]);
      if (place === 'backup') {
        // The names that the links have there are taken: what is kept goes beside them.
        expect(failed.slice(2, 4)).toEqual([{}, {}]);
        expect(await contentsAt(backup)).toMatchObject({
          ...{ a: '-> ../outside/directory', b: '-> ../outside' },
          ...{ 'a-1/file': 'evil 1', 'b-1/precious': 'evil 1' },
        });
      }
    },
  );

  test('also if a link stood there before it was one', async () => {
    for (const place of ['target/a', 'target/a/deeper']) {
      const options = { backupDirectory: place };
      const lies = [{ listed: [...links, file('z')] }, { listed: [file('z', 'other')], options }];
      await fetchLies(lies);
    }
  });
});
