import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Work } from '../work.ts';
import { putCases } from './copying.ts';

/** One file of one byte: what a command costs before it does anything. */
export const cold: Work = {
  name: 'cold',
  isForDisk: true,
  repeats: 4,
  room: () => 2 ** 20,
  prepare: async ({ directory, peers }) => {
    const source = join(directory, 'source');
    writeFileSync(source, 'x');
    return peers.files.flatMap((carrier) => putCases(carrier, { source, size: '1 byte, cold' }));
  },
};
