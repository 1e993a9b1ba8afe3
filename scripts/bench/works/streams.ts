import { join } from 'node:path';

import { formatSize } from '../../../src/units.ts';
import { knowsOption, sealiftFiles } from '../peers/sealift.ts';
import { makeRandomFile } from '../sources.ts';
import type { Setting, Work } from '../work.ts';
import { copyCases } from './copying.ts';
import { startLink } from './link.ts';

const BYTES_PER_SECOND = 20e6;
const MANY = 8;

/** A link that gives each connection 20 MB/s. */
export const streams: Work = {
  name: 'streams',
  isForDisk: false,
  base: streamsName(MANY),
  room: (sizes) => 2 * sizes.streamed,
  prepare: async (setting: Setting) => {
    const { sealift } = setting.peers;
    if (!(await knowsOption(sealift, '--streams'))) {
      setting.leaveOut('streams', 'this Sealift has no --streams');
      return [];
    }
    const port = await startLink(setting, sealift.port, { bytesPerSecond: BYTES_PER_SECOND });
    const carriers = [MANY, 1].map((count) =>
      sealiftFiles(sealift, { name: streamsName(count), options: ['--streams', String(count)], port }),
    );
    return copyCases(setting, carriers, {
      source: makeRandomFile(join(setting.directory, 'source'), setting.sizes.streamed),
      size: `${formatSize(setting.sizes.streamed)}, 20 MB/s a connection`,
      amount: { count: setting.sizes.streamed / 1e6, unit: 'MB' },
    });
  },
};

function streamsName(count: number): string {
  return `sealift --streams ${count}`;
}
