import { expect, test, vi } from 'vitest';
import { isBlake3Available, preferredAlgorithm } from '../../src/transfer/digests.ts';

test.runIf(process.platform === 'linux')(
  'BLAKE3 is preferred, even before anything was hashed, and no name is looked up on the network to load it',
  () => {
    const report = process.report as NodeJS.ProcessReport & { excludeNetwork: boolean };
    const excluded: boolean[] = [];
    const { getReport } = report;
    vi.spyOn(report, 'getReport').mockImplementation((...given) => {
      excluded.push(report.excludeNetwork);
      return getReport(...given);
    });
    expect(preferredAlgorithm()).toBe('blake3');
    expect(isBlake3Available()).toBe(true);
    expect(excluded).toEqual([true]);
    expect(report.excludeNetwork).toBe(false);
  },
);
