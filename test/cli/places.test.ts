import { describe, expect, test } from 'vitest';
import { parsePlaceText, parseServerText, sourcesAndTarget } from '../../src/cli/places.ts';
import { codeThrownBy } from '../thrown.ts';

const address = (host: string, port = 7433) => ({ address: { host, port } });
const name = (text: string) => ({ name: text });
const socket = (path: string) => ({ address: { path } });

describe('a place on a server', () => {
  test.each([
    ['host:path', name('host'), 'path', false],
    ['host:a/b c', name('host'), 'a/b c', false],
    ['host:', name('host'), '', false],
    ['host:/', name('host'), '', true],
    ['host:/a', name('host'), 'a', false],
    ['host:a/', name('host'), 'a', true],
    ['host:a:b', name('host'), 'a:b', false],
    ['host:-x', name('host'), '-x', false],
    ['host:a?b#c%41', name('host'), 'a?b#c%41', false],
    ['[::1]:a', name('::1'), 'a', false],
    ['sealift://h', name('h'), '', false],
    ['sealift://h/a', name('h'), 'a', false],
    ['h:a//b', name('h'), 'a/b', false],
    ['h:./a/./b', name('h'), 'a/b', false],
    ['h:.', name('h'), '', false],
    ['sealift://h:1234/a/b/', address('h', 1234), 'a/b', true],
    ['sealift://[fe80::1]:1/a', address('fe80::1', 1), 'a', false],
    ['unix:/run/s.sock:a', socket('/run/s.sock'), 'a', false],
    ['unix:/run/s.sock:', socket('/run/s.sock'), '', false],
  ])('%s', (text, server, path, hasTrailingSlash) => {
    expect(parsePlaceText(text)).toEqual({ kind: 'remote', server, path, hasTrailingSlash });
  });

  test.each([
    'sealift://',
    'sealift:///a',
    'sealift://h:0/a',
    'sealift://h:65536/a',
    'sealift://h:x/a',
    'h:../a',
    'h:a/../b',
    'https://h/a',
    'user@h:a',
    'unix:/run/s.sock',
    'h:a\u0001b',
    `h:${'x'.repeat(256)}`,
  ])('%j makes no sense', (text) => {
    expect(codeThrownBy(() => parsePlaceText(text))).toBe('usage');
  });
});

test.each(['a', './a:b', 'a/b:c', '/abs:x', '..', 'dir/', '-x', '~', 'ü'])('%s is local', (path) => {
  expect(parsePlaceText(path)).toEqual({ kind: 'local', path });
});

test('- is standard input or output', () => {
  expect(parsePlaceText('-')).toEqual({ kind: 'stdio' });
});

describe('a server without a path', () => {
  test.each([
    ['host', name('host')],
    ['host:', name('host')],
    ['host:1234', address('host', 1234)],
    ['[::1]', name('::1')],
    ['[::1]:1234', address('::1', 1234)],
    ['sealift://host/', name('host')],
    ['sealift://host:1234', address('host', 1234)],
    ['unix:/run/s.sock', socket('/run/s.sock')],
    ['unix:/run/s.sock:', socket('/run/s.sock')],
  ])('%s', (text, server) => {
    expect(parseServerText(text)).toEqual(server);
  });

  test.each(['', '/a/b', 'host:99999', 'sealift://'])('%j is none', (text) => {
    expect(codeThrownBy(() => parseServerText(text))).toBe('usage');
  });

  test.each([
    ['host:x', '"x"'],
    ['host:https', '"https"'],
    ['[::1]:x', '"x"'],
    ['host:12a', '"12a"'],
    ['host:1:2', '"1:2"'],
    ['fe80::1', '":1"'],
  ])('%s names no port, and is not taken for the usual one', (text, port) => {
    expect(() => parseServerText(text)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(`${port} is no port`) }),
    );
  });
});

describe('operands', () => {
  test('the last one is the target', () => {
    expect(sourcesAndTarget(['a', 'b', 'c'])).toEqual({ sources: ['a', 'b'], target: 'c' });
  });

  test.each([[[]], [['a']]])('%j are too few', (places) => {
    expect(codeThrownBy(() => sourcesAndTarget(places))).toBe('usage');
  });
});
