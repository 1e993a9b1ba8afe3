import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

/** From the top of the house to the bottom. A room imports only from the rooms below its own. */
const layers: readonly (readonly string[])[] = [
  ['cli'],
  ['index.ts'],
  ['diagnostics'],
  ['client'],
  ['server'],
  ['trust'],
  ['storage'],
  ['transport'],
  ['protocol'],
  ['transfer'],
  ['units.ts'],
  [
    'errors.ts',
    'clock.ts',
    'random.ts',
    'logger.ts',
    'shell-word.ts',
    'missing-directories.ts',
    'local-sync.ts',
    'write-fully.ts',
  ],
];

/** Neighbours that know nothing of each other, although one stands above the other in the list. */
const strangers: readonly (readonly [string, string])[] = [
  ['client', 'server'],
  ['storage', 'protocol'],
];

/** Which files of src a file of src imports. All paths are relative to src, with forward slashes. */
type Imports = ReadonlyMap<string, readonly string[]>;

test('every file of src imports only from below, and no imports run in a circle', () => {
  expect(violations(importsOfSources())).toEqual([]);
});

describe('the check itself', () => {
  test.each([
    ['upwards', 'protocol/encoder.ts', 'transport/dial.ts', 'protocol may not import from transport'],
    ['to the top', 'errors.ts', 'cli/main.ts', 'errors.ts may not import from cli'],
    ['through the public face', 'client/put.ts', 'index.ts', 'client may not import from index.ts'],
    ['from client to server', 'client/put.ts', 'server/limits.ts', 'client may not import from server'],
    ['from server to client', 'server/limits.ts', 'client/put.ts', 'server may not import from client'],
    [
      'from storage to protocol',
      'storage/store.ts',
      'protocol/limits.ts',
      'storage may not import from protocol',
    ],
    [
      'from protocol to storage',
      'protocol/limits.ts',
      'storage/store.ts',
      'protocol may not import from storage',
    ],
    ['out of src', 'cli/main.ts', '../test/fixture.ts', 'leaves src'],
    ['into an unknown room', 'cli/main.ts', 'utils/text.ts', 'src/utils is in no layer'],
  ])('an import %s is refused', (_, from, to, message) => {
    const found = violations(new Map([[from, [to]]]));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`src/${from}`);
    expect(found[0]).toContain(message);
  });

  test('imports from below and within a room are allowed', () => {
    const graph = new Map([
      ['cli/main.ts', ['cli/settings.ts', 'index.ts', 'client/put.ts', 'errors.ts']],
      ['index.ts', ['client/put.ts', 'server/listen.ts']],
      ['client/put.ts', ['transport/dial.ts', 'transfer/blocks.ts', 'clock.ts']],
      ['server/listen.ts', ['trust/pins.ts', 'storage/store.ts', 'protocol/limits.ts']],
      ['logger.ts', ['errors.ts']],
    ]);
    expect(violations(graph)).toEqual([]);
  });

  test('a circle is refused and shown whole, once', () => {
    const graph = new Map([
      ['cli/main.ts', ['transfer/a.ts', 'transfer/c.ts']],
      ['transfer/a.ts', ['transfer/b.ts']],
      ['transfer/b.ts', ['transfer/c.ts']],
      ['transfer/c.ts', ['transfer/a.ts']],
    ]);
    expect(violations(graph)).toEqual([
      'imports run in a circle: src/transfer/a.ts -> src/transfer/b.ts -> src/transfer/c.ts -> src/transfer/a.ts',
    ]);
  });

  test('a file in no layer is refused even when nothing imports it', () => {
    expect(violations(new Map([['helpers.ts', []]]))).toEqual([
      'src/helpers.ts is in no layer: add it to the list in test/layers.test.ts',
    ]);
  });

  test('every kind of import is seen', () => {
    const text = `
      import { a } from './a.ts';
      import type { B } from '../b.ts';
      import './c.ts';
      export { d } from './d.ts';
      export * from './e.ts';
      const f = await import('./f.ts');
      let g: import('./g.ts').G;
      import 'node:fs'; // not a file of ours
      // import './comment.ts';
    `;
    expect(importsOf('room/file.ts', text).sort()).toEqual(
      ['b.ts', 'room/a.ts', 'room/c.ts', 'room/d.ts', 'room/e.ts', 'room/f.ts', 'room/g.ts'].sort(),
    );
  });
});

function violations(imports: Imports): string[] {
  const found: string[] = [];
  for (const [file, targets] of imports) {
    const from = room(file);
    if (rank(from) === -1)
      found.push(`src/${from} is in no layer: add it to the list in test/layers.test.ts`);
    for (const target of targets) {
      const problem = problemWith(from, target);
      if (problem !== undefined) found.push(`src/${file} imports src/${target}: ${problem}`);
    }
  }
  return [...found, ...circles(imports)];
}

function problemWith(from: string, target: string): string | undefined {
  if (target.startsWith('../')) return 'the import leaves src';
  const to = room(target);
  if (rank(to) === -1) return `src/${to} is in no layer`;
  if (from === to) return undefined;
  const estranged = strangers.some((pair) => pair.includes(from) && pair.includes(to));
  if (rank(from) > rank(to) || estranged) return `${from} may not import from ${to}`;
  return undefined;
}

/** The folder directly under src that a file is in, or the file's own name when it is in none. */
function room(file: string): string {
  return file.split('/', 1)[0] ?? file;
}

function rank(name: string): number {
  return layers.findIndex((layer) => layer.includes(name));
}

function circles(imports: Imports): string[] {
  const found: string[] = [];
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const start = path.indexOf(file);
    if (start !== -1) {
      const circle = [...path.slice(start), file].map((name) => `src/${name}`);
      found.push(`imports run in a circle: ${circle.join(' -> ')}`);
      return;
    }
    if (finished.has(file)) return;
    path.push(file);
    for (const target of imports.get(file) ?? []) visit(target);
    path.pop();
    finished.add(file);
  };
  for (const file of imports.keys()) visit(file);
  return found;
}

function importsOfSources(): Imports {
  const files = globSync('**/*.ts', { cwd: 'src' }).map((file) => file.replaceAll('\\', '/'));
  return new Map(files.map((file) => [file, importsOf(file, readFileSync(`src/${file}`, 'utf8'))]));
}

function importsOf(file: string, text: string): string[] {
  return ts
    .preProcessFile(text)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => posix.join(posix.dirname(file), specifier));
}
