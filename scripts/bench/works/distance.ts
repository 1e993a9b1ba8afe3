import { join } from 'node:path';

import { rsync } from '../peers/rsync.ts';
import { sealiftFiles, sealiftSync, sealiftTrees } from '../peers/sealift.ts';
import type { Carrier } from '../peers/server.ts';
import { makeRandomFile, makeTree } from '../sources.ts';
import type { Setting, Work } from '../work.ts';
import { copyCases, sameAgainCases } from './copying.ts';
import { startLink } from './link.ts';

/** Each way: a round trip takes twice that. */
const LATENCY_MS = 25;

/** Over a way on which a round trip takes 50 ms: many small files, the same compared by their digests, and one byte. */
export const distance: Work = {
  name: 'distance',
  isForDisk: false,
  room: (sizes) => 4 * sizes.files * 8192,
  prepare: async (setting: Setting) => {
    const { directory, sizes, peers } = setting;
    const { sealift, rsyncServer } = peers;
    const port = await startLink(setting, sealift.port, { latencyMs: LATENCY_MS });
    const ssh = rsyncServer && {
      server: rsyncServer,
      port: await startLink(setting, rsyncServer.port, { latencyMs: LATENCY_MS }),
    };
    const byRsync = (name: string, isTree: boolean): Carrier[] =>
      ssh ? [rsync(ssh.server, { name, options: name.split(' ').slice(1), port: ssh.port, isTree })] : [];
    const far = `${2 * LATENCY_MS} ms away`;
    const source = makeTree(join(directory, 'source'), sizes.files);
    const amount = { count: sizes.files, unit: 'files' } as const;
    const trees = [sealiftTrees(sealift, { port }), ...byRsync('rsync -a', true)];
    const compared = [sealiftSync(sealift, { options: ['-c'], port }), ...byRsync('rsync -ac', true)];
    const single = [sealiftFiles(sealift, { port }), ...byRsync('rsync -W', false)];
    return [
      ...copyCases(setting, trees, { source, isTree: true, size: `${sizes.files} × 4K, ${far}`, amount }),
      ...(await sameAgainCases(setting, compared, {
        source,
        size: `${sizes.files} files by digest, ${far}`,
        amount,
      })),
      ...copyCases(setting, single, {
        source: makeRandomFile(join(directory, 'byte'), 1),
        size: `1 byte, ${far}`,
      }),
    ];
  },
};
