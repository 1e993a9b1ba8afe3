import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { GitignoreRules } from '../../src/client/tree/gitignore-rules.ts';
import { treeFilter, type FilterOptions } from '../../src/client/tree/tree-filter.ts';
import { isSealiftError } from '../../src/errors.ts';
import { parentPath } from '../../src/transfer/remote-path.ts';
import { anyString, holds } from '../support/properties.ts';
import { temporaryDirectory } from '../support/test-server.ts';

const name = fc.constantFrom('a', 'b', 'ab', 'a.o', '.x');
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
const piece = fc.constantFrom('a', 'b', '*', '?', '.o', '[ab]', '[!a]', '\\a', '.x', 'ab');
const component = fc.oneof(
  { weight: 5, arbitrary: fc.array(piece, { minLength: 1, maxLength: 2 }).map((pieces) => pieces.join('')) },
  // Beside other characters, git itself is not of one mind about what it matches.
  { weight: 1, arbitrary: fc.constant('**') },
);
/** Patterns that are sound, as people write them and worse. */
const pattern = fc
  .tuple(
    fc.constantFrom('', '', '', '!'),
    fc.constantFrom('', '', '/', '**/'),
    fc.array(component, { minLength: 1, maxLength: 3 }),
    fc.constantFrom('', '', '/', '/**'),
  )
  .map(([not, top, components, end]) => `${not}${top}${components.join('/')}${end}`);
const patterns = fc.array(pattern, { maxLength: 4 });
const anyText = fc.oneof(
  anyString,
  fc
    .array(fc.oneof(piece, fc.constantFrom('/', '[', ']', '\\', '!', '#', ' ', '..', '')), { maxLength: 6 })
    .map((pieces) => pieces.join('')),
);

function above(of: string): string[] {
  return of === '' ? [] : [...above(parentPath(of)), parentPath(of)];
}

test('what is taken can be reached, and nothing that is taken is protected', async (context) => {
  const options: fc.Arbitrary<FilterOptions> = fc.record(
    { include: patterns, exclude: patterns, files: fc.array(path, { maxLength: 2 }) },
    { requiredKeys: [] },
  );
  await holds(
    context,
    fc.property(options, fc.array(path, { maxLength: 10 }), (given, paths) => {
      const filter = treeFilter(given);
      for (const each of paths) {
        for (const type of ['file', 'directory'] as const) {
          if (!filter.takes({ path: each, type, size: 0, mtimeMs: 0 })) continue;
          expect(filter.protects(each, type === 'directory')).toBe(false);
          expect(
            above(each).filter((directory) => !filter.entersDirectory(directory)),
            each,
          ).toEqual([]);
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

test('any texts as patterns and names are a filter, or refused as wrong usage', async (context) => {
  const texts = fc.array(anyText, { maxLength: 3 });
  await holds(
    context,
    fc.property(texts, texts, texts, path, (include, exclude, files, asked) => {
      try {
        const filter = treeFilter({ include, exclude, files });
        filter.takes({ path: asked, type: 'file', size: 0, mtimeMs: 0 });
        filter.entersDirectory(asked);
      } catch (error) {
        if (!isSealiftError(error, 'usage')) throw error;
      }
    }),
    { numRuns: 500 },
  );
});

test('patterns match what git matches by them', async (context) => {
  const directory = await temporaryDirectory();
  const git = (args: readonly string[], input = '') => {
    const { status, stdout, stderr } = spawnSync(
      'git',
      ['-C', directory, '-c', 'core.ignoreCase=false', ...args],
      { input, encoding: 'utf8' },
    );
    // 1: nothing is ignored.
    if (status !== 0 && status !== 1) throw new Error(`git: ${stderr}`);
    return stdout;
  };
  git(['init', '--quiet']);
  await holds(
    context,
    fc.property(patterns, fc.uniqueArray(path, { minLength: 1, maxLength: 30 }), (given, paths) => {
      writeFileSync(join(directory, '.gitignore'), given.join('\n'));
      // Nothing of it stands: git takes each for a file, and what lies above for directories.
      const told = git(
        ['check-ignore', '--no-index', '--stdin', '--verbose', '--non-matching'],
        paths.join('\n'),
      );
      const ignored = told
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('::') && !/^[^:]*:\d*:!/.test(line))
        .map((line) => line.split('\t')[1]);
      const rules = new GitignoreRules(given);
      expect(paths.filter((each) => rules.matches(each, false))).toEqual(ignored);
    }),
    { numRuns: 60 },
  );
});
