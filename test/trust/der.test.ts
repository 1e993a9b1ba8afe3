import { describe, expect, test } from 'vitest';
import { derValues, integer, sequence, time } from '../../src/trust/der.ts';

const value = (hex: string) => derValues(Buffer.from(hex, 'hex'))[0];
const text = (tag: number, content: string) =>
  derValues(Buffer.from([tag, content.length, ...Buffer.from(content)]))[0];

describe('values in DER', () => {
  test('stand one behind the other, with lengths of one or more bytes', () => {
    const long = `30820100${'00'.repeat(256)}`;
    const values = derValues(Buffer.from(`020105${long}0400`, 'hex'));
    expect(values.map(({ tag, content, raw }) => [tag, content.length, raw.length])).toEqual([
      [2, 1, 3],
      [48, 256, 260],
      [4, 0, 2],
    ]);
    expect(sequence(value('3006020101020102')).map(integer)).toEqual([1n, 2n]);
  });

  test.each(['02', '0201', '028105', '02820100', '0280', '02850000000001', '0284ffffffff00', '30030201'])(
    'that end too soon, or have a length that is none, are refused: %s',
    (hex) => {
      expect(() => derValues(Buffer.from(hex, 'hex'))).toThrow(RangeError);
    },
  );

  test.each([
    ['020100', 0n],
    ['02017f', 127n],
    ['02020080', 128n],
    ['020180', -128n],
    ['0210ffffffffffffffffffffffffffffffff', -1n],
    ['0200', 0n],
  ])('%s is an integer', (hex, expected) => {
    expect(integer(value(hex))).toBe(expected);
  });

  test('of another kind, or missing, are refused', () => {
    for (const read of [integer, time, sequence]) {
      expect(() => read(value('0400'))).toThrow(RangeError);
      expect(() => read(undefined)).toThrow(RangeError);
    }
  });
});

describe('a time', () => {
  test.each([
    [0x17, '491231235959Z', '2049-12-31T23:59:59.000Z'],
    [0x17, '500101000000Z', '1950-01-01T00:00:00.000Z'],
    [0x17, '991231235959Z', '1999-12-31T23:59:59.000Z'],
    [0x18, '20500101000000Z', '2050-01-01T00:00:00.000Z'],
  ])('%i %s', (tag, written, expected) => {
    expect(new Date(time(text(tag, written))).toISOString()).toBe(expected);
  });

  test.each([
    [0x17, '20490101000000Z'],
    [0x17, '491331000000Z'],
    [0x17, '4901010000Z'],
    [0x17, '490101000000'],
    [0x18, '20500101000000+0100'],
    [0x18, '20500101000000.5Z'],
    [0x18, ''],
  ])('is not %i %s', (tag, written) => {
    expect(() => time(text(tag, written))).toThrow(RangeError);
  });
});
