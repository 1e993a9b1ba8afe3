import { join } from 'node:path';

import { formatSize } from '../../../src/units.ts';
import { rsync } from '../peers/rsync.ts';
import { knowsOption, sealiftFiles } from '../peers/sealift.ts';
import type { Carrier } from '../peers/server.ts';
import { makeRandomFile, makeTextFile } from '../sources.ts';
import type { Case, Setting, Work } from '../work.ts';
import { putCases } from './copying.ts';
import { startLink } from './link.ts';

/** 100 Mbit/s */
const BYTES_PER_SECOND = 12.5e6;

const COMPRESSED = 'sealift -z';

/** Text, and what does not shrink, over a slow link and a fast one. */
export const compression: Work = {
  name: 'compression',
  isForDisk: false,
  base: COMPRESSED,
  room: (sizes) => 3 * sizes.compressed,
  prepare: async (setting) => {
    const { directory, sizes, peers } = setting;
    if (!(await knowsOption(peers.sealift, '--compress'))) {
      setting.leaveOut('compression', 'this Sealift has no --compress');
      return [];
    }
    const sources = {
      text: makeTextFile(join(directory, 'text'), sizes.compressed),
      'random bytes': makeRandomFile(join(directory, 'random'), sizes.compressed),
    };
    const links = {
      'loopback alone': await carriers(setting),
      '100 Mbit/s': await carriers(setting, BYTES_PER_SECOND),
    };
    return Object.entries(sources).flatMap(([content, source]): Case[] =>
      Object.entries(links).flatMap(([link, programs]) =>
        programs.flatMap((carrier) =>
          putCases(carrier, {
            source,
            size: `${formatSize(sizes.compressed)} of ${content}, ${link}`,
            amount: { count: sizes.compressed / 1e6, unit: 'MB' },
          }),
        ),
      ),
    );
  },
};

async function carriers(setting: Setting, bytesPerSecond?: number): Promise<Carrier[]> {
  const { sealift, rsyncServer } = setting.peers;
  const through = async (port: number) =>
    bytesPerSecond === undefined ? port : startLink(setting, port, { bytesPerSecond });
  const port = await through(sealift.port);
  return [
    sealiftFiles(sealift, { name: COMPRESSED, options: ['-z'], port }),
    sealiftFiles(sealift, { port }),
    ...(rsyncServer
      ? [rsync(rsyncServer, { name: 'rsync -Wz', options: ['-Wz'], port: await through(rsyncServer.port) })]
      : []),
  ];
}
