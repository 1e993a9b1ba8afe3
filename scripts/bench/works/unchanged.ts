import { join } from 'node:path';

import { makeTree } from '../sources.ts';
import type { Work } from '../work.ts';
import { sameAgainCases } from './copying.ts';

/** A tree of many files in which nothing has changed since it was copied. */
export const unchanged: Work = {
  name: 'unchanged',
  isForDisk: true,
  // The source, and at the target what each program left.
  room: (sizes) => 4 * sizes.files * 8192,
  prepare: async (setting) =>
    sameAgainCases(setting, setting.peers.syncing, {
      source: makeTree(join(setting.directory, 'source'), setting.sizes.files),
      size: `${setting.sizes.files} unchanged files again`,
      amount: { count: setting.sizes.files, unit: 'files' },
    }),
};
