import { join } from 'node:path';

import { makeTree } from '../sources.ts';
import type { Work } from '../work.ts';
import { copyCases } from './copying.ts';

const FILE_BYTES = 200_000;

/** Files as large as pictures and documents are, a fifth as many as there are small ones, each way. */
export const medium: Work = {
  name: 'medium',
  isForDisk: true,
  room: (sizes) => 3 * countOf(sizes) * FILE_BYTES,
  prepare: async (setting) => {
    const count = countOf(setting.sizes);
    return copyCases(setting, setting.peers.trees, {
      source: makeTree(join(setting.directory, 'source'), count, FILE_BYTES),
      isTree: true,
      size: `${count} × 200 KB`,
      amount: { count: (count * FILE_BYTES) / 1e6, unit: 'MB' },
    });
  },
};

function countOf({ files }: { files: number }): number {
  return Math.ceil(files / 5);
}
