import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A bug that is put into the program on purpose. */
export interface Mutation {
  name: string;
  /** What is wrong then. */
  bug: string;
  /** What that would do to somebody. */
  harm: string;
  /** Of these at least one has to fail. */
  tests: readonly NamedTest[];
  /** The file of the patch, seen from the top of the tree. */
  patch: string;
}

/** A test by its file and its titles, the outermost first, as they stand there. */
export interface NamedTest {
  file: string;
  titles: readonly string[];
}

/** Where the patches lie. */
const DIRECTORY = 'test/mutations';

/** All mutations of the tree at `root`, by name; with `names` only those. Throws for a name that there is not, and for a patch without a head. */
export function readMutations(root = '.', names: readonly string[] = []): Mutation[] {
  const all = globSync(`${DIRECTORY}/*.patch`, { cwd: root }).sort();
  const mutations = all.map((patch) => parseMutation(patch, readFileSync(join(root, patch), 'utf8')));
  const unknown = names.find((name) => mutations.every((mutation) => mutation.name !== name));
  if (unknown !== undefined) throw new Error(`There is no ${DIRECTORY}/${unknown}.patch.`);
  return names.length === 0 ? mutations : mutations.filter(({ name }) => names.includes(name));
}

/** Finds tests of these titles by their whole names. What is put in by `test.each` or a template can be anything. */
export function titlePattern(tests: readonly NamedTest[]): string {
  return tests.map(({ titles }) => titles.map(anyValues).join('.*')).join('|');
}

/** The head of a patch is the bug, in a line, and then lines that begin with `Harm:` and `Test:`. */
function parseMutation(patch: string, text: string): Mutation {
  const [bug = '', ...lines] = text.slice(0, text.indexOf('\ndiff --git ')).trim().split('\n');
  const told = (key: string) =>
    lines.flatMap((line) => (line.startsWith(`${key}: `) ? line.slice(key.length + 2) : []));
  const [harm] = told('Harm');
  const tests = told('Test').map(parseTest);
  if (bug === '' || harm === undefined || tests.length === 0)
    throw new Error(`${patch} does not begin with a bug, its harm, and a test that notices it.`);
  return { name: basename(patch, '.patch'), bug, harm, tests, patch };
}

function parseTest(text: string): NamedTest {
  const [file = '', ...titles] = text.split(' > ');
  return { file, titles };
}

const PLACEHOLDER = /%[sdijo]|\$\{[^}]*\}|\$[a-zA-Z.]+/;

function anyValues(title: string): string {
  return title.split(PLACEHOLDER).map(escaped).join('.*');
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
