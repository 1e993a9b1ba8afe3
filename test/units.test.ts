import { describe, expect, test } from 'vitest';
import { formatDuration, formatSize, parseCount, parseDuration, parseSize } from '../src/units.ts';
import { codeThrownBy } from './thrown.ts';

describe('durations', () => {
  test.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['15m', 900_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
    ['1.5s', 1_500],
    ['3', 3_000],
    ['0', 0],
    [' 4s ', 4_000],
  ])('%s is %i ms', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  test.each(['', '-1s', '1w', '10 s', 's', '1e3', 'ten', '1.s', '9'.repeat(20)])('%j is none', (text) => {
    expect(codeThrownBy(() => parseDuration(text))).toBe('usage');
  });
});

describe('sizes and rates', () => {
  test.each([
    ['64K', 65_536],
    ['10M', 10_485_760],
    ['1G', 1_073_741_824],
    ['2T', 2_199_023_255_552],
    ['1.5k', 1_536],
    ['10MB', 10_485_760],
    ['10MiB', 10_485_760],
    ['123', 123],
    ['0', 0],
  ])('%s is %i bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', '-1', '1X', '1 M', 'M', '1e9', '0x10', '9999999T', '9'.repeat(400)])(
    '%j is none',
    (text) => {
      expect(codeThrownBy(() => parseSize(text))).toBe('usage');
    },
  );
});

describe('counts', () => {
  test.each([
    ['0', 0, 0],
    ['8', 0, 8],
    ['1', 1, 1],
  ])('%s, at least %i', (text, min, count) => {
    expect(parseCount(text, min)).toBe(count);
  });

  test.each([
    ['0', 1],
    ['-1', 0],
    ['1.5', 0],
    ['', 0],
    ['1e2', 0],
    ['9007199254740993', 0],
  ])('%j is none that is at least %i', (text, min) => {
    expect(codeThrownBy(() => parseCount(text, min))).toBe('usage');
  });
});

test.each([
  [0, '0B'],
  [999, '999B'],
  [1_000, '1.0K'],
  [1_536, '1.5K'],
  [102_400, '100K'],
  [1_048_576, '1.0M'],
  [5_368_709_120, '5.0G'],
  [2 ** 42, '4.0T'],
])('%i bytes are shown as %s', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});

test.each([
  [0, '0ms'],
  [349.6, '350ms'],
  [4_200, '4.2s'],
  [59_949, '59.9s'],
  [59_950, '1m00s'],
  [192_000, '3m12s'],
  [3_599_600, '1h00m'],
  [3_900_000, '1h05m'],
])('%d ms are shown as %s', (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});
