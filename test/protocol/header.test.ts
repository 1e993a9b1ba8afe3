import { endianness } from 'node:os';
import { describe, expect, test } from 'vitest';
import { NATIVE_BYTE_ORDER, parseHeader, type Header } from '../../src/protocol/header.ts';
import { MAX_HEADER_BYTES } from '../../src/protocol/limits.ts';
import { codeThrownBy, thrownBy } from '../thrown.ts';
import { FRAME_FIELDS, headerText } from './frames.ts';

function parse(text: string): Header {
  return parseHeader(Buffer.from(text));
}

/** A header whose content-length is this JSON, written literally. */
function withLength(json: string): string {
  return headerText().replace('"content-length":0', `"content-length":${json}`);
}

/** A header with a field that holds `levels` lists, one in the other. */
function nested(levels: number, innermost = ''): string {
  return headerText().replace('{', `{"deep":${'['.repeat(levels)}${innermost}${']'.repeat(levels)},`);
}

test('a sound header is given as it is, unknown fields included', () => {
  const fields = { action: 'x', id: 7, nested: { list: [1, 'two', null, true] }, ünïcode: '😀' };
  expect(parse(headerText(fields))).toEqual({ ...FRAME_FIELDS, ...fields });
});

test('white space between the parts of the JSON does not matter', () => {
  expect(parse(` \r\n\t${JSON.stringify(FRAME_FIELDS, undefined, 2)} `)).toEqual(FRAME_FIELDS);
});

test('of a name that comes twice the last value counts', () => {
  expect(parse(headerText().replace('{', '{"byteorder":"big",'))).toEqual(FRAME_FIELDS);
});

test('the byte order told to peers is that of this machine', () => {
  expect(NATIVE_BYTE_ORDER).toBe({ LE: 'little', BE: 'big' }[endianness()]);
});

describe('what is no JSON object is refused', () => {
  test.each([
    'null',
    '[1]',
    '"x"',
    '12',
    'true',
    '',
    ' ',
    '{',
    '{}{}',
    "{'a':1}",
    '{"a":1,}',
    'NaN',
    '// {}',
  ])('%s', (text) => {
    expect(codeThrownBy(() => parse(text))).toBe('bad-header');
  });

  test('with the cause, where there is one', () => {
    expect(thrownBy(() => parse('{')).cause).toBeInstanceOf(SyntaxError);
    expect(thrownBy(() => parse('null')).cause).toBeUndefined();
  });
});

describe('what is not valid UTF-8 is refused', () => {
  const [before, after] = headerText({ name: '?' }).split('?') as [string, string];
  test.each([
    ['a byte that never occurs', 'ff'],
    ['a stray continuation', '80'],
    ['a character cut short', 'e282'],
    ['an overlong slash', 'c0af'],
    ['an overlong zero', 'c080'],
    ['a surrogate', 'eda080'],
    ['a surrogate pair in three bytes each', 'eda0bdedb880'],
    ['beyond U+10FFFF', 'f4908080'],
  ])('%s', (_, hex) => {
    const bytes = Buffer.concat([Buffer.from(before), Buffer.from(hex, 'hex'), Buffer.from(after)]);
    expect(codeThrownBy(() => parseHeader(bytes))).toBe('bad-header');
  });

  test.each([
    ['a byte order mark', Buffer.from(`\ufeff${headerText()}`)],
    ['UTF-16', Buffer.from(headerText(), 'utf16le')],
  ])('%s', (_, bytes) => {
    expect(codeThrownBy(() => parseHeader(bytes))).toBe('bad-header');
  });

  test('the beginning of a character at the end does not leak into the next header', () => {
    expect(codeThrownBy(() => parseHeader(Buffer.from(`${headerText()}\u{1f600}`).subarray(0, -1)))).toBe(
      'bad-header',
    );
    expect(parse(headerText())).toEqual(FRAME_FIELDS);
  });
});

describe('what no careful program sends is refused', () => {
  const surrogate = String.raw`\ud800`;
  test.each([
    ['a lone surrogate as a value', `"a":"${surrogate}"`],
    ['a low surrogate before a high one', String.raw`"a":"\ude00\ud83d"`],
    ['a lone surrogate in a name', `"${surrogate}":1`],
    ['a lone surrogate in a list', `"a":[1,["${surrogate}"]]`],
    ['a lone surrogate in a name further down', `"a":{"b":{"${surrogate}":1}}`],
    ['__proto__', '"__proto__":{"polluted":true}'],
    ['__proto__ with a value that is no object', '"__proto__":1'],
    ['__proto__ in disguise', String.raw`"\u005f_proto__":{"polluted":true}`],
    ['__proto__ further down', '"a":{"b":[{"__proto__":{"polluted":true}}]}'],
    ['constructor', '"constructor":1'],
    ['constructor further down', '"a":{"constructor":{"prototype":{"polluted":true}}}'],
    ['prototype', '"a":[{"prototype":1}]'],
  ])('%s', (_, field) => {
    expect(codeThrownBy(() => parse(headerText().replace('{', `{${field},`)))).toBe('bad-header');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('a pair of surrogates is one character, however it is written', () => {
    expect(parse(headerText().replace('{', String.raw`{"a":"\ud83d\ude00",`))['a']).toBe('😀');
  });

  test('64 fields are taken, 65 are not', () => {
    const fields = (count: number) =>
      Object.fromEntries(Array.from({ length: count - 4 }, (_, i) => [`f${i}`, i]));
    expect(Object.keys(parse(headerText(fields(64))))).toHaveLength(64);
    expect(codeThrownBy(() => parse(headerText(fields(65))))).toBe('bad-header');
  });

  test('thousands of fields are not taken', () => {
    const text = headerText(Object.fromEntries(Array.from({ length: 1_300 }, (_, i) => [`f${i}`, i])));
    expect(text.length).toBeLessThan(MAX_HEADER_BYTES);
    expect(codeThrownBy(() => parse(text))).toBe('bad-header');
  });

  test('8 levels of values are taken, 9 are not, nor are 8000', () => {
    expect(parse(nested(8))['deep']).toEqual([[[[[[[[]]]]]]]]);
    expect(parse(nested(7, '{"a":1}').replace('[{"a":1}]', '{"a":1}'))['deep']).toEqual([[[[[[{ a: 1 }]]]]]]);
    expect(codeThrownBy(() => parse(nested(8, '1')))).toBe('bad-header');
    expect(codeThrownBy(() => parse(nested(8, '{}')))).toBe('bad-header');
    expect(codeThrownBy(() => parse(nested(8_000)))).toBe('bad-header');
    expect(
      codeThrownBy(() =>
        parse(headerText().replace('{', `{"a":${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)},`)),
      ),
    ).toBe('bad-header');
  });
});

describe('the four fields of every header', () => {
  test.each(['0', '1', '1048576', '9007199254740991'])('content-length %s is a length', (json) => {
    expect(parse(withLength(json))['content-length']).toBe(Number(json));
  });

  test.each([
    '-1',
    '-0',
    '1.5',
    '0.1',
    '1e400',
    '-1e400',
    '9007199254740993',
    '"12"',
    '""',
    'true',
    'null',
    '[]',
    '[1]',
    '{}',
  ])('content-length %s is refused, never coerced', (json) => {
    expect(codeThrownBy(() => parse(withLength(json)))).toBe('bad-header');
  });

  test.each(Object.keys(FRAME_FIELDS))('%s must not be missing', (name) => {
    expect(codeThrownBy(() => parse(headerText({ [name]: undefined })))).toBe('bad-header');
  });

  test('both byte orders are taken', () => {
    expect(parse(headerText({ byteorder: 'big' })).byteorder).toBe('big');
  });

  test.each(['middle', 'LITTLE', '', 1, null, ['little']])('byteorder %j is refused', (byteorder) => {
    expect(codeThrownBy(() => parse(headerText({ byteorder })))).toBe('bad-header');
  });

  describe.each(['content-type', 'content-encoding'])('%s', (name) => {
    test('may have 1 to 255 characters', () => {
      for (const value of ['x', 'x'.repeat(255)])
        expect(parse(headerText({ [name]: value }))[name]).toBe(value);
    });

    test.each(['', 'x'.repeat(256), 1, null, ['binary']])('%j is refused', (value) => {
      expect(codeThrownBy(() => parse(headerText({ [name]: value })))).toBe('bad-header');
    });
  });
});
