import { describe, expect, test } from 'vitest';
import {
  boolean,
  FieldError,
  integer,
  list,
  nullable,
  oneOf,
  optional,
  readFields,
  text,
  wireName,
  writeFields,
  type Field,
} from '../../src/protocol/fields.ts';

const kinds: [name: string, field: Field<unknown>, good: unknown[], bad: unknown[]][] = [
  [
    'integer from 0',
    integer(0),
    [0, 1, Number.MAX_SAFE_INTEGER],
    [-1, 0.5, NaN, Infinity, 2 ** 53, '1', true, null, undefined, [1]],
  ],
  ['integer from -5 to 5', integer(-5, 5), [-5, 0, 5], [-6, 6]],
  ['text of at most 3', text(3), ['', 'abc', 'äöü'], ['abcd', '😀😀', 1, null, undefined, ['a']]],
  ['text of a form', text(9, /^[a-z]+$/), ['abc'], ['', 'A', 'abc\n', 'abcdefghij']],
  ['one of a few', oneOf('a', 'b'), ['a', 'b'], ['c', 'A', '', 0, null, undefined, ['a']]],
  ['boolean', boolean, [true, false], [0, 1, 'true', null, undefined]],
  [
    'list of at most 2',
    list(text(1), 2),
    [[], ['a'], ['a', 'b']],
    [['a', 'b', 'c'], ['ab'], [1], 'a', { length: 0 }, null, undefined],
  ],
  ['optional', optional(boolean), [true, undefined], [null, 1]],
  ['nullable', nullable(boolean), [true, null], [undefined, 1]],
];

describe.each(kinds)('%s', (_, field, good, bad) => {
  test.each(good.map((value) => [value]))('takes %o', (value) => expect(field(value)).toEqual(value));
  test.each(bad.map((value) => [value]))('refuses %o', (value) =>
    expect(() => field(value)).toThrow(FieldError),
  );
});

test.each([
  ['path', 'path'],
  ['mtimeMs', 'mtime-ms'],
  ['idleTimeoutMs', 'idle-timeout-ms'],
])('%s is %s on the wire', (key, name) => expect(wireName(key)).toBe(name));

describe('reading the fields of a header', () => {
  const shape = { path: text(9), mtimeMs: optional(integer(0)) };

  test('takes those of the shape by their names on the wire, and ignores all others', () => {
    expect(readFields(shape, { path: 'a', 'mtime-ms': 1, mtimeMs: 2, other: 3 })).toEqual({
      path: 'a',
      mtimeMs: 1,
    });
  });

  test('gives no key to what is missing', () => {
    expect(Object.keys(readFields(shape, { path: 'a' }))).toEqual(['path']);
  });

  test('says which field is wrong, by its name on the wire', () => {
    expect(() => readFields(shape, { path: 'a', 'mtime-ms': -1 })).toThrow(
      new FieldError(`The field mtime-ms is not a whole number from 0 to ${Number.MAX_SAFE_INTEGER}.`),
    );
  });

  test('does not find fields that the header inherited', () => {
    expect(() => readFields(shape, Object.create({ path: 'a' }) as Record<string, unknown>)).toThrow(
      FieldError,
    );
    expect(readFields({ toString: optional(text(9)) }, {})).toEqual({});
  });

  test('lets other errors through as they are', () => {
    const mistake = new TypeError('a mistake in a shape');
    const broken = () => {
      throw mistake;
    };
    expect(() => readFields({ path: broken }, { path: 'a' })).toThrow(mistake);
  });
});

test('writing the fields of a header leaves out what is undefined, and only that', () => {
  expect(writeFields({ path: '', mtimeMs: 0, size: null, recursive: false, mode: undefined })).toStrictEqual({
    path: '',
    'mtime-ms': 0,
    size: null,
    recursive: false,
  });
});
