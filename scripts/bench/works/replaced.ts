import { join } from 'node:path';

import { mustRun } from '../commands.ts';
import { measured } from '../measure.ts';
import { makeTree } from '../sources.ts';
import { mustBeSameTree } from '../verify.ts';
import type { Case, Work } from '../work.ts';
import { remove } from './copying.ts';

/** A tree of many files each of which has changed since it was copied. */
export const replaced: Work = {
  name: 'replaced',
  isForDisk: true,
  // The two sources, the copy, and what takes its place.
  room: (sizes) => 4 * sizes.files * 8192,
  prepare: async ({ directory, sizes, peers }) => {
    const [before, after] = ['before', 'after'].map((name) =>
      makeTree(join(directory, name), sizes.files),
    ) as [string, string];
    // A file of the same size and time would be left as it is.
    await mustRun('find', [before, '-type', 'f', '-exec', 'touch', '-d', '2020-01-01', '{}', '+']);
    const what = `${sizes.files} × 4K in the place of others`;
    const amount = { count: sizes.files, unit: 'files' } as const;
    return peers.syncing.flatMap(({ name: program, server, put, get }): Case[] => {
      const [stored, fetched] = [join(server.root, 'copy'), join(directory, 'fetched')];
      const run = async (target: string, command: readonly string[]) => {
        await mustRun('cp', ['-a', before, target]);
        const cost = await measured(server, command);
        await mustBeSameTree(after, target);
        for (const path of [stored, fetched]) remove(path);
        return cost;
      };
      const runGet = async (command: readonly string[]) => {
        await mustRun('cp', ['-al', after, stored]);
        return run(fetched, command);
      };
      return [
        ...(put
          ? [{ what: `put ${what}`, program, amount, run: () => run(stored, put(after, 'copy')) }]
          : []),
        ...(get ? [{ what: `get ${what}`, program, amount, run: () => runGet(get('copy', fetched)) }] : []),
      ];
    });
  },
};
