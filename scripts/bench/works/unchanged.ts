import { join } from 'node:path';

import { measured } from '../measure.ts';
import { makeTree } from '../sources.ts';
import { mustBeSameTree } from '../verify.ts';
import type { Case, Work } from '../work.ts';

/** A tree of many files in which nothing has changed since it was copied. */
export const unchanged: Work = {
  name: 'unchanged',
  isForDisk: true,
  // The source, and at the target what each program left.
  room: (sizes) => 4 * sizes.files * 8192,
  prepare: async ({ directory, sizes, peers }) => {
    const source = makeTree(join(directory, 'source'), sizes.files);
    const cases: Case[] = [];
    for (const { name: program, server, put, get } of peers.syncing) {
      const stored = join(server.root, 'copy');
      const fetched = join(directory, `fetched-${program.replaceAll(/\W/g, '-')}`);
      const add = (what: string, target: string, command: readonly string[]) =>
        cases.push({
          what: `${what} ${sizes.files} unchanged files again`,
          program,
          amount: { count: sizes.files, unit: 'files' },
          run: async () => {
            const cost = await measured(server, command);
            await mustBeSameTree(source, target);
            return cost;
          },
        });
      for (const [what, target, command] of [
        ['put', stored, put?.(source, 'copy')],
        ['get', fetched, get?.('copy', fetched)],
      ] as const) {
        if (!command) continue;
        await measured(server, command);
        add(what, target, command);
      }
    }
    return cases;
  },
};
