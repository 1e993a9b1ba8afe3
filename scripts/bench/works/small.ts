import { join } from 'node:path';

import { makeTree } from '../sources.ts';
import type { Work } from '../work.ts';
import { copyCases, keptIn, remove } from './copying.ts';

/** Copies that a round makes, at most. */
const MAX_KEPT = 20;

/** Many small files, each way; for Sealift it ends when all of them are on the disk. */
export const small: Work = {
  name: 'small',
  isForDisk: true,
  // A file takes a block of the file system, and its entries.
  room: (sizes, { isDisk, rounds }) => (isDisk ? MAX_KEPT * rounds : 3) * sizes.files * 8192,
  prepare: async (setting) =>
    copyCases(setting, setting.peers.trees, {
      source: makeTree(join(setting.directory, 'source'), setting.sizes.files),
      isTree: true,
      size: `${setting.sizes.files} × 4K`,
      discard: setting.isDisk ? keptIn(join(setting.directory, 'kept')) : remove,
      amount: { count: setting.sizes.files, unit: 'files' },
    }),
};
