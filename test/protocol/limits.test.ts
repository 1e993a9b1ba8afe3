import { expect, test } from 'vitest';
import * as limits from '../../src/protocol/limits.ts';
import { literals, specTables, specText } from './spec.ts';

const listed = (specTables('Limits')[0] ?? []).map(([name, value]) => [
  literals(name)[0],
  numberOrText(value),
]);

test('SPEC.md lists every limit with its value, and no other', () => {
  expect(Object.fromEntries(listed)).toEqual({ ...limits });
  expect(listed).toHaveLength(Object.keys(limits).length);
});

test('every limit that is listed is also used in a rule, and every one in a rule is listed', () => {
  const names = specText().match(/\b[A-Z]+_[A-Z_]+\b/g) ?? [];
  const once = new Set(names.filter((name, _, all) => all.indexOf(name) === all.lastIndexOf(name)));
  expect([...once]).toEqual([]);
  expect([...new Set(names)].sort()).toEqual(Object.keys(limits).sort());
});

test('the limits agree with each other', () => {
  expect(limits.MAX_CONTENT_BYTES).toBe(limits.BLOCK_BYTES);
  expect(limits.MAX_HEADER_BYTES).toBeLessThan(2 ** (8 * limits.LENGTH_BYTES));
  expect(limits.MAX_FILE_BYTES % limits.BLOCK_BYTES).toBe(0);
  expect(limits.MAX_CONTENT_BYTES_BEFORE_HELLO).toBeLessThan(limits.MAX_CONTENT_BYTES);
  expect(limits.MAX_COMPONENT_BYTES).toBeLessThan(limits.MAX_PATH_BYTES);
  // Whatever the path, a header that escapes each of its bytes with a backslash still holds it.
  expect(limits.MAX_HEADER_BYTES).toBeGreaterThan(2 * limits.MAX_PATH_BYTES + 1_024);
});

function numberOrText(cell: string | undefined): unknown {
  return literals(cell)[0] ?? Number(cell?.replaceAll(',', ''));
}
