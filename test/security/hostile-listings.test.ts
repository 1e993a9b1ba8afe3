import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { MIB, noise } from '../client/setting.ts';
import { treeAt } from '../support/planted-tree.ts';
import { digestOf, dir, fetchLies, file, link, type Lie, type Listed } from './lying-server.ts';

describe('hazard 39: names that are none end the run before anything is written', () => {
  test.each([
    ...['..', '../outside/precious', 'tree/../outside/precious', 'tree/a/../../outside/precious', 'tree/.'],
    ...['/etc/passwd', '/tree/a', 'tree//a', 'tree/a/', 'tree/', '', 'tree', 'other/a', 'treeless', 'tre'],
    ...['tree/a\u0000b', 'tree/a\nb', 'tree/\u001b[2J', 'tree/\u007f', 'tree/\u009b', 'tree/\ud800'],
    ...[`tree/${'x'.repeat(256)}`, 5, null, {}, ['tree/a']].map((name) => name as string),
  ])('%j', async (name) => {
    const listed: Listed[] = [file('good'), [name, { content: 'evil' }], file('z')];
    const { failed, target } = await fetchLies([{ listed }], { kept: 'kept' });
    expect([failed, target]).toEqual([['protocol-violation'], { kept: 'kept' }]);
  });

  test.each<[string, Listed[]]>([
    ['a path twice', [file('a'), link('a', '../outside')]],
    ['a type that is none', [['tree/a', { type: 'socket' }]]],
    ['a size that is none', [['tree/a', { size: -1 }]]],
  ])('%s', async (_, listed) => {
    const { failed, target } = await fetchLies([{ listed: [file('good'), ...listed] }]);
    expect([failed, target]).toEqual([['protocol-violation'], {}]);
  });

  test('names of what is under way here are taken from nobody', async () => {
    const own = ['part', 'lock'].map((ending) => `.sealift-0123456789abcdef.${ending}`);
    const listed = [
      ...own.map((name) => link(name, '../outside/precious')),
      ...own.flatMap((name) => [dir(`d/${name}`), file(`d/${name}/a`)]),
      file('z'),
    ];
    const { failed, target } = await fetchLies([{ listed }]);
    expect(new Set(Object.values(failed[0] ?? {}))).toEqual(new Set(['bad-name']));
    expect(Object.keys(failed[0] ?? {})).toHaveLength(6);
    expect(target).toEqual({ z: 'evil' });
  });
});

describe('hazard 39: what comes is not what was listed', () => {
  const whole = noise(3 * MIB);
  test.each<[name: string, listed: Listed[], got: Lie['got'], expected: unknown]>([
    ['larger', [file('a', 'x')], { content: Buffer.from('larger') }, { a: 'larger' }],
    [
      'much larger',
      [file('a', 'x')],
      { content: whole },
      { a: expect.stringMatching(/^3145728 bytes/) as unknown },
    ],
    ['smaller', [['tree/a', { size: 5 * MIB }]], { content: Buffer.from('x') }, { a: 'x' }],
    [
      'for another path',
      [file('a', 'x')],
      { content: Buffer.from('y'), fields: { path: '../outside/precious' } },
      { a: 'y' },
    ],
  ])('%s', async (_, listed, got, expected) => {
    const { failed, target } = await fetchLies([{ listed, got }]);
    expect([failed, target]).toEqual([[{}], expected]);
  });

  test.each<[name: string, got: Lie['got'], code: string]>([
    ['of another size than it says', { content: Buffer.from('x'), size: 2 }, 'protocol-violation'],
    [
      'without its digest',
      { content: Buffer.from('x'), fields: { digest: digestOf(Buffer.from('y')) } },
      'retries-exhausted',
    ],
    ['of a size that is too large', { content: Buffer.from('x'), size: 2 ** 60 }, 'protocol-violation'],
  ])('%s', async (_, got, code) => {
    const { failed, target } = await fetchLies([{ listed: [file('a', 'new')], got }], { a: 'old' });
    expect([failed, target]).toEqual([[{ a: code }], { a: 'old' }]);
  });

  test('a directory where a file goes, and both at once', async () => {
    const listed = [file('a'), file('a/b'), dir('a/b/c')];
    const { target } = await fetchLies([{ listed }, { listed: listed.toReversed() }]);
    expect(Object.keys(target).every((path) => /^a(\/(b(\/(c\/?)?)?)?)?$/.test(path))).toBe(true);
  });

  test('no bits that lend powers', async () => {
    const listed = [dir('d', 0o7777), ['tree/d/f', { mode: 0o7777, content: 'x' }] as Listed];
    const scratch = await fetchLies([
      { listed, got: { content: Buffer.from('x'), fields: { mode: 0o7777 } } },
    ]);
    expect(scratch.last).toEqual({});
    const found = await treeAt(join(scratch.backup, '..', 'target'));
    expect(found).toMatchObject({ d: { mode: '777' }, 'd/f': { mode: '777' } });
  });
});
