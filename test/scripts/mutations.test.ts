import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { readMutations, titlePattern } from '../../scripts/mutations/mutation.ts';
import { held, isLongRun } from '../support/cases.ts';
import { temporaryDirectory } from '../support/test-server.ts';

const run = promisify(execFile);
const mutations = readMutations();

/** The tests that `storage/contract.test.ts` is made of. */
const contract = globSync('test/contract/**/*.ts').map((file) => readFileSync(file, 'utf8'));

/** A title as it may stand in a source, in quotes of any kind. */
function isWritten(title: string, source: string): boolean {
  return [title, title.replaceAll("'", String.raw`\'`)].some((text) => source.includes(text));
}

describe('the bugs that tests have to notice', () => {
  test('are many', () => {
    expect(mutations.length).toBeGreaterThanOrEqual(25);
  });

  describe.each(mutations)('$name', ({ patch, tests }) => {
    test('can be put into the program as it is', async () => {
      await run('git', ['apply', '--check', patch]);
    });

    test('names tests that there are', () => {
      for (const { file, titles } of tests) {
        const own = readFileSync(file, 'utf8');
        const source = file === 'test/storage/contract.test.ts' ? contract.join('') : own;
        expect(titles).not.toEqual([]);
        for (const title of titles) expect(isWritten(title, source), `${file} > ${title}`).toBe(true);
      }
    });
  });

  test('are told one by one in the page about tests', () => {
    const page = readFileSync('test/README.md', 'utf8');
    const told = [...page.matchAll(/^- `([a-z0-9-]+)`: (.*(?:\n {2}.*)*)/gm)].map(([, name, bug = '']) => ({
      name,
      bug: bug.replaceAll(/\s+/g, ' '),
    }));
    expect(told).toEqual(mutations.map(({ name, bug }) => ({ name, bug })));
  });
});

/** A tree of one function and one test, with these patches of its line; resolves with what `npm run mutations` says there. */
async function verdictsOn(lines: Record<string, string>): Promise<{ stdout: string; code: number }> {
  const root = await temporaryDirectory();
  const patch = (line: string) =>
    `A bug.\nHarm: None.\nTest: test/one.test.ts > is one\n\n` +
    `diff --git a/src/one.ts b/src/one.ts\n--- a/src/one.ts\n+++ b/src/one.ts\n` +
    `@@ -1 +1 @@\n${line === '' ? '-const' : '-export const one = (): number => 1;'}\n+${line}\n`;
  const files = {
    'src/one.ts': 'export const one = (): number => 1;\n',
    'test/one.test.ts': `import { expect, test } from 'vitest';
      import { one } from '../src/one.ts';
      test('is one', () => expect(one() > 0).toBe(true));`,
    'scripts/vitest.config.ts': 'export default {};',
    'package.json': '{ "type": "module" }',
    'tsconfig.json':
      '{ "include": ["src"], "compilerOptions": { "strict": true, "lib": ["es2023"], "types": [], "noEmit": true } }',
    ...Object.fromEntries(
      Object.entries(lines).map(([name, line]) => [`test/mutations/${name}.patch`, patch(line)]),
    ),
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  await symlink(resolve('node_modules'), join(root, 'node_modules'));
  const running = run(process.execPath, [resolve('scripts/mutations.ts')], { cwd: root });
  return running.then(
    ({ stdout }) => ({ stdout, code: 0 }),
    (error: unknown) => error as { stdout: string; code: number },
  );
}

describe('npm run mutations', () => {
  test('tells which bugs no test noticed, and fails for them', { timeout: 120_000 }, async () => {
    const { stdout, code } = await verdictsOn({
      caught: 'export const one = (): number => 0;',
      survivor: 'export const one = (): number => 2;',
      'not-compiling': 'export const one = (): string => 0;',
      'not-applying': '',
    });
    expect(stdout).toMatch(/^caught: caught by test\/one\.test\.ts > is one/m);
    expect(stdout).toMatch(/^survivor: SURVIVED/m);
    expect(stdout).toMatch(/^not-compiling: DOES NOT COMPILE/m);
    expect(stdout).toMatch(/^not-applying: DOES NOT APPLY/m);
    expect(stdout).toContain('Caught: 1 of 4');
    expect(code).toBe(1);
  });

  test('knows the bugs by name', async () => {
    const running = run(process.execPath, ['scripts/mutations.ts', 'no-such-bug']);
    await expect(running).rejects.toThrow('There is no test/mutations/no-such-bug.patch');
  });

  // Where it is skipped it would have to be allowed to be.
  if (isLongRun) {
    test('finds that tests notice every bug', async (context) => {
      const { stdout } = await run(process.execPath, ['scripts/mutations.ts']);
      expect(stdout).toContain(`Caught: ${mutations.length} of ${mutations.length}`);
      held(context, 'mutations', mutations.length);
    });
  }
});

test('a test is found by its titles, whatever values are put into them', () => {
  const titles = ['hazard %s', 'a.b ($count of ${all})'];
  const pattern = new RegExp(titlePattern([{ file: 'a.test.ts', titles }]));
  expect('hazard 3 a.b (1 of 2)').toMatch(pattern);
  expect('hazard 3 aXb (1 of 2)').not.toMatch(pattern);
});
