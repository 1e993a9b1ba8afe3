import { expect, test, vi } from 'vitest';
import { blockDigest } from '../../src/transfer/digests.ts';

test.runIf(process.platform === 'linux')('no name is looked up on the network to load BLAKE3', () => {
  const report = process.report as NodeJS.ProcessReport & { excludeNetwork: boolean };
  const excluded: boolean[] = [];
  const { getReport } = report;
  vi.spyOn(report, 'getReport').mockImplementation((...given) => {
    excluded.push(report.excludeNetwork);
    return getReport(...given);
  });
  expect(blockDigest('blake3', Buffer.from('x'))).toHaveLength(32);
  expect(excluded).toEqual([true]);
  expect(report.excludeNetwork).toBe(false);
});
