// Breaks the program on purpose, by one patch of test/mutations after the other, and fails unless tests notice each:
//   npm run mutations [-- NAME…]
// It works in a copy of the tree, which it removes.
import { BrokenTree } from './mutations/broken-tree.ts';
import { readMutations, titlePattern, type Mutation, type NamedTest } from './mutations/mutation.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

const mutations = readMutations('.', process.argv.slice(2));
const tree = new BrokenTree('.');
for (const signal of SIGNALS) {
  process.once(signal, () => {
    tree.close();
    process.exit(130);
  });
}
try {
  await assertSound(mutations.flatMap(({ tests }) => tests));
  let caught = 0;
  for (const mutation of mutations) if (await isCaught(mutation)) caught += 1;
  console.log(`\nCaught: ${caught} of ${mutations.length}`);
  process.exitCode = caught === mutations.length ? 0 : 1;
} finally {
  tree.close();
}

/** Throws unless the tree compiles and each of `tests` is there and passes, without any bug. */
async function assertSound(tests: readonly NamedTest[]): Promise<void> {
  const [compiles, results] = await Promise.all([tree.compiles(), tree.run(tests)]);
  if (!compiles) throw new Error('The tree does not compile as it is.');
  if (results.length === 0) throw new Error('The tests did not run to their end.');
  for (const test of tests) {
    const own = results.filter((result) => result.status !== 'skipped' && isOf(result, test));
    if (own.length === 0 || own.some(({ status }) => status !== 'passed'))
      throw new Error(`Not passed before anything is broken: ${test.file} > ${test.titles.join(' > ')}`);
  }
}

/** Tells what becomes of a bug, and whether a test noticed it. */
async function isCaught(mutation: Mutation): Promise<boolean> {
  const startMs = performance.now();
  const tried = await tree.with(mutation, () => Promise.all([tree.compiles(), tree.run(mutation.tests)]));
  const [compiles, results = []] = tried ?? [];
  const failed = results.find(
    (result) => result.status === 'failed' && mutation.tests.some((test) => isOf(result, test)),
  );
  const verdict =
    tried === undefined
      ? 'DOES NOT APPLY'
      : !compiles
        ? 'DOES NOT COMPILE'
        : results.length === 0
          ? 'NO TEST RAN TO ITS END'
          : failed === undefined
            ? 'SURVIVED'
            : `caught by ${failed.file} > ${failed.fullName}`;
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  console.log(`${mutation.name}: ${verdict} (${seconds} s)`);
  return failed !== undefined && compiles === true;
}

function isOf({ file, fullName }: { file: string; fullName: string }, test: NamedTest): boolean {
  return file === test.file && new RegExp(titlePattern([test])).test(fullName);
}
