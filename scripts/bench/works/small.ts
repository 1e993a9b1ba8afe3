import { join } from 'node:path';

import { makeTree } from '../sources.ts';
import type { Work } from '../work.ts';
import { copyCases } from './copying.ts';

/** Many small files, each way; for Sealift it ends when all of them are on the disk. */
export const small: Work = {
  name: 'small',
  isForDisk: true,
  // A file takes a block of the file system, and its entries.
  room: (sizes) => 3 * sizes.files * 8192,
  prepare: async (setting) =>
    copyCases(setting, setting.peers.trees, {
      source: makeTree(join(setting.directory, 'source'), setting.sizes.files),
      isTree: true,
      size: `${setting.sizes.files} × 4K`,
      amount: { count: setting.sizes.files, unit: 'files' },
    }),
};
