import { expect, test } from 'vitest';
import { parseMaxDelete } from '../../src/cli/tree-settings.ts';

test.each([
  ['0', { count: 0 }],
  ['25', { count: 25 }],
  ['0%', { percent: 0 }],
  ['10%', { percent: 10 }],
  ['2.5%', { percent: 2.5 }],
  [' 100% ', { percent: 100 }],
])('--max-delete %j', (text, expected) => {
  expect(parseMaxDelete(text)).toEqual(expected);
});

test.each(['', '-1', '1.5', 'all', '%', '-5%', '101%', '10 %%', '1e3'])(
  '--max-delete %j is refused',
  (text) => {
    expect(() => parseMaxDelete(text)).toThrow(expect.objectContaining({ code: 'usage' }));
  },
);
