// Prints behind a test run how many cases of each kind it held: failpoints, kills, cuts and the like, of which one
// test tries many.
import type { Reporter, TestModule } from 'vitest/node';
import '../test/support/cases.ts';

export default class CaseCounts implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const sums = new Map<string, number>();
    for (const module of modules)
      for (const test of module.children.allTests('passed'))
        for (const [kind, count] of Object.entries(test.meta().cases ?? {}))
          sums.set(kind, (sums.get(kind) ?? 0) + count);
    if (sums.size === 0) return;
    console.log('\nCases held:');
    for (const [kind, count] of [...sums].sort()) console.log(`  ${kind}: ${count.toLocaleString('en')}`);
  }
}
