import { join } from 'node:path';

import { formatSize } from '../../../src/units.ts';
import { measuredTogether } from '../measure.ts';
import { makeRandomFile } from '../sources.ts';
import { mustBeSameFile } from '../verify.ts';
import type { Case, Work } from '../work.ts';
import { remove } from './copying.ts';

/** Of the programs that carry files; the others would only take time. */
const TAKING_PART: readonly string[] = ['sealift', 'scp', 'rsync -W', 'curl+nginx'];

/** Several clients at once, each a process of its own; and how the server's event loop fares meanwhile. */
export const manyClients: Work = {
  name: 'many-clients',
  isForDisk: true,
  room: (sizes) => (sizes.clients + 1) * sizes.perClient,
  prepare: async ({ directory, sizes, peers }) => {
    const source = makeRandomFile(join(directory, 'source'), sizes.perClient);
    const names = Array.from({ length: sizes.clients }, (_, index) => `copy-${index}`);
    return peers.files.flatMap(({ name: program, server, put }): Case[] => {
      if (!put || !TAKING_PART.includes(program)) return [];
      const isSealift = server === peers.sealift;
      const run = async () => {
        // What was seen before is not asked for.
        if (isSealift) await peers.sealift.lag();
        const commands = names.map((name) => put(source, name));
        const cost = await measuredTogether(server, commands);
        const lag = isSealift ? await peers.sealift.lag() : undefined;
        for (const name of names) {
          await mustBeSameFile(source, join(server.root, name));
          remove(join(server.root, name));
        }
        return lag ? { ...cost, figures: { 'lag p99 ms': lag.p99, 'lag max ms': lag.max } } : cost;
      };
      const amount = { count: (sizes.clients * sizes.perClient) / 1e6, unit: 'MB' } as const;
      return [
        { what: `${sizes.clients} clients put ${formatSize(sizes.perClient)} each`, program, amount, run },
      ];
    });
  },
};
