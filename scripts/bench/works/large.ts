import { join } from 'node:path';

import { formatSize } from '../../../src/units.ts';
import { makeRandomFile } from '../sources.ts';
import type { Work } from '../work.ts';
import { copyCases } from './copying.ts';

/** One large file of random bytes, each way. */
export const large: Work = {
  name: 'large',
  isForDisk: true,
  room: (sizes) => 2 * sizes.large,
  prepare: async (setting) =>
    copyCases(setting, setting.peers.files, {
      source: makeRandomFile(join(setting.directory, 'source'), setting.sizes.large),
      size: formatSize(setting.sizes.large),
      amount: { count: setting.sizes.large / 1e6, unit: 'MB' },
    }),
};
