import fc from 'fast-check';
import { expect, test } from 'vitest';
import { baseName, isWithin, joinPath, parentPath, pathProblem } from '../../src/transfer/remote-path.ts';
import { holds } from '../support/properties.ts';

const SLASH = 0x2f;

/** Text from pieces that matter to the grammar, any UTF-16 code unit among them. */
const anyText = fc
  .array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.constantFrom('/', 'a', '.', '..', 'é', '日', '😀', 'x'.repeat(127), 'ab/'.repeat(400)),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          '\0',
          '\u001f',
          ' ',
          '~',
          '\u007f',
          '\u0080',
          '\u009f',
          '\u00a0',
          '\ud800',
          '\udc00',
        ),
      },
      { weight: 1, arbitrary: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) },
    ),
    { maxLength: 8 },
  )
  .map((pieces) => pieces.join(''));
const component = fc.string({ minLength: 1, maxLength: 20 }).filter((name) => isComponent(Buffer.from(name)));
const anyPath = fc.array(component, { minLength: 1, maxLength: 5 }).map((components) => components.join('/'));

test('the grammar, told in bytes, says the same of any text', async (context) => {
  await holds(
    context,
    fc.property(anyText, (text) => {
      expect(pathProblem(text) === undefined).toBe(isPath(text));
    }),
    { numRuns: 2_000 },
  );
});

test('a path is made of its parent and its name', async (context) => {
  await holds(
    context,
    fc.property(anyPath, (path) => {
      expect(joinPath(parentPath(path), baseName(path))).toBe(path);
      expect(isWithin(path, parentPath(path))).toBe(true);
    }),
  );
});

test('one path is within another exactly if it begins with all its components', async (context) => {
  // Few letters, so that paths often begin alike without one being within the other.
  const short = fc.array(fc.constantFrom('a', 'aa', 'b'), { maxLength: 4 });
  await holds(
    context,
    fc.property(short, short, (inner, outer) => {
      const within = outer.every((name, i) => inner[i] === name);
      expect(isWithin(inner.join('/'), outer.join('/'))).toBe(within);
    }),
    { numRuns: 500 },
  );
});

function isPath(text: string): boolean {
  const bytes = Buffer.from(text);
  if (bytes.toString() !== text || bytes.length > 4096) return false;
  if (bytes.length === 0) return true;
  const components: number[][] = [[]];
  for (const byte of bytes) {
    if (byte === SLASH) components.push([]);
    else components.at(-1)?.push(byte);
  }
  return components.every((found) => isComponent(Buffer.from(found)));
}

function isComponent(bytes: Buffer): boolean {
  const controls = [...bytes.toString()].filter((character) => {
    const point = character.codePointAt(0) ?? 0;
    return point < 0x20 || (point >= 0x7f && point <= 0x9f);
  });
  const dots = bytes.equals(Buffer.from('.')) || bytes.equals(Buffer.from('..'));
  return bytes.length >= 1 && bytes.length <= 255 && !bytes.includes(SLASH) && !dots && controls.length === 0;
}
