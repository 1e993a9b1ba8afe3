import { expect, test } from 'vitest';
import { printable } from '../../src/cli/escape.ts';

test.each([
  ['a plain name', 'päper 😀 "quoted" \\ back', 'päper 😀 "quoted" \\ back'],
  ['an escape sequence', '\u001b[31mred\u001b[0m', '\\u001b[31mred\\u001b[0m'],
  ['a line end and a return', 'a\r\nb', 'a\\u000d\\u000ab'],
  ['NUL, DEL and a C1 control', '\0\u007f\u009b', '\\u0000\\u007f\\u009b'],
  ['marks that turn the direction', 'exe\u202efdp\u2066', 'exe\\u202efdp\\u2066'],
  ['marks that lend a direction', 'a\u200e\u200f\u061cb', 'a\\u200e\\u200f\\u061cb'],
])('%s', (_, text, shown) => {
  expect(printable(text)).toBe(shown);
});

test('nothing that a terminal obeys gets through', () => {
  const controls = [...new Array(0xa0).keys()].filter((code) => code < 0x20 || code >= 0x7f);
  for (const code of controls) expect(printable(String.fromCharCode(code))).toMatch(/^\\u00[0-9a-f]{2}$/);
});
