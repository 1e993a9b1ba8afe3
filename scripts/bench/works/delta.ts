import { cpSync, mkdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

import { formatSize } from '../../../src/units.ts';
import { measured } from '../measure.ts';
import { eventsOf } from '../peers/sealift.ts';
import { makeChangedCopy, makeRandomFile } from '../sources.ts';
import { mustBeSameTree } from '../verify.ts';
import type { Case, Work } from '../work.ts';
import { remove } from './copying.ts';

const CHANGED_BYTES = 2 ** 20;
const LONG_AGO = new Date('2020-01-01');

/** A large file of which 1 MiB in the middle has changed, and the old one at the target. */
export const delta: Work = {
  name: 'delta',
  isForDisk: true,
  // The old one, the new one, the target, and what is made of it.
  room: (sizes) => 4 * sizes.large,
  prepare: async ({ directory, sizes, peers }) => {
    const [before, after, fetched] = ['before', 'after', 'fetched'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    for (const each of [before, after]) mkdirSync(each);
    makeRandomFile(join(before, 'file'), sizes.large);
    makeChangedCopy(join(before, 'file'), join(after, 'file'), { size: sizes.large, bytes: CHANGED_BYTES });
    // A file with the same size and time would be left as it is.
    utimesSync(join(before, 'file'), LONG_AGO, LONG_AGO);
    const size = `${formatSize(sizes.large)}, 1M of it changed`;
    return peers.syncing.flatMap(({ name: program, server, put, get }): Case[] => {
      const stored = join(server.root, 'copy');
      const run = async (source: string, target: string, command: readonly string[]) => {
        cpSync(before, target, { recursive: true, preserveTimestamps: true });
        if (source !== after) cpSync(after, source, { recursive: true, preserveTimestamps: true });
        const { output, ...cost } = await measured(server, command);
        await mustBeSameTree(after, target);
        for (const path of [stored, fetched]) remove(path);
        return { ...cost, figures: { 'MB of the file sent': sentBytes(output) / 1e6 } };
      };
      return [
        ...(put ? [{ what: `put ${size}`, program, run: () => run(after, stored, put(after, 'copy')) }] : []),
        ...(get
          ? [{ what: `get ${size}`, program, run: () => run(stored, fetched, get('copy', fetched)) }]
          : []),
      ];
    });
  },
};

/** How many bytes of files were sent, as Sealift and rsync each tell it. */
function sentBytes(output: string): number {
  const literal = /^Literal data: ([\d,]+) bytes/m.exec(output)?.[1];
  if (literal !== undefined) return Number(literal.replaceAll(',', ''));
  return Number(eventsOf(output, 'summary')[0]?.['movedBytes']);
}
