import type { TestContext } from 'vitest';

/** Whether this is the long run (`npm run test:long`), which takes hours where the normal one takes seconds. */
export const isLongRun = process.env['SEALIFT_TEST_LONG'] === 'true';

/** How much to try: `normal` in every run, `long` in the long one. */
export function effort(normal: number, long: number): number {
  return isLongRun ? long : normal;
}

declare module 'vitest' {
  interface TaskMeta {
    /** How many cases of each kind a test has held. */
    cases?: Record<string, number>;
  }
}

/** Counts `count` cases that held, of a kind such as `failpoints`; the sums are printed behind the run. */
export function held({ task }: Pick<TestContext, 'task'>, kind: string, count = 1): void {
  const cases = (task.meta.cases ??= {});
  cases[kind] = (cases[kind] ?? 0) + count;
}
