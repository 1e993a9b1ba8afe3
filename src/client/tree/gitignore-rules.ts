import ignore, { type Ignore } from 'ignore';

import { SealiftError } from '../../errors.ts';

/** Answers after which the library's memory of them is let go. */
const ANSWERS_KEPT = 1_000;

/** Patterns in the syntax of gitignore, anchored at the top of a tree; the case of letters counts. */
export class GitignoreRules {
  readonly #isEmpty: boolean;
  #rules: Ignore;
  #answers = 0;

  /** Throws `usage` for a pattern that cannot be one. */
  constructor(patterns: readonly string[]) {
    for (const pattern of patterns) checkPattern(pattern);
    this.#isEmpty = patterns.length === 0;
    this.#rules = caseSensitive().add(patterns);
  }

  /** Whether the last pattern that speaks of `path`, or of a directory above it, is no negation. */
  matches(path: string, isDirectory: boolean): boolean {
    if (this.#isEmpty) return false;
    this.#answers += 1;
    // The library keeps every answer for ever: 35 MB for 200,000 paths. A copy shares the compiled patterns alone.
    if (this.#answers % ANSWERS_KEPT === 0) this.#rules = caseSensitive().add(this.#rules);
    return this.#rules.ignores(isDirectory ? `${path}/` : path);
  }
}

/**
 * Throws `usage` for what gitignore would pass over in silence: an empty pattern, a comment, one that ends halfway,
 * and one that no path can match because of its components.
 */
export function checkPattern(pattern: string): void {
  const [problem, hint] = patternProblem(pattern) ?? [];
  if (problem === undefined) return;
  throw new SealiftError('usage', `The pattern ${JSON.stringify(pattern)} ${problem}.`, {
    ...(hint !== undefined && { hint }),
  });
}

/** The directory that holds all that `pattern` can match, `""` if it can match anywhere. */
export function patternRoot(pattern: string): string {
  const body = withoutEnds(pattern);
  // Only with a slash at its beginning or inside is a pattern bound to the top.
  if (!body.includes('/') && !pattern.startsWith('/')) return '';
  const components = body.split('/');
  const firstWild = components.findIndex((component) => /[*?[\\]/.test(component));
  return components.slice(0, firstWild === -1 ? undefined : firstWild).join('/');
}

function caseSensitive(): Ignore {
  return ignore({ ignorecase: false });
}

function patternProblem(pattern: string): [problem: string, hint?: string] | undefined {
  if (pattern.startsWith('#'))
    return ['is a comment', 'For a name that begins with #, write \\# at the beginning.'];
  const body = withoutEnds(pattern.replace(/^!/, ''));
  if (body === '') return ['is empty'];
  // What is left without escaped characters and whole brackets begins none.
  if (/[\\[]/.test(pattern.replaceAll(/\\.|\[[!^]?(?:\\.|[^\\])(?:\\.|[^\\\]])*\]/gs, '')))
    return ['ends inside a bracket or after a backslash', 'For the character itself, write \\[ or \\\\.'];
  if (body.split('/').some((component) => ['', '.', '..'].includes(component)))
    return [
      'has an empty component, "." or "..", which no path has',
      'A slash at its beginning binds a pattern to the top of the tree: /name.',
    ];
  return undefined;
}

/** `pattern` without what only tells where it holds: the slashes at its ends. The spaces behind it do not count. */
function withoutEnds(pattern: string): string {
  return pattern
    .replace(/[ \r]+$/, '')
    .replace(/^\//, '')
    .replace(/\/$/, '');
}
