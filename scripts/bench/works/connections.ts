import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { measured } from '../measure.ts';
import type { Setting, Work } from '../work.ts';
import { contentOf, nameOf } from './connected-content.ts';
import { remove } from './copying.ts';

const PUT_BYTES = 256 * 1024;

/** Very many connections, which all stand before each puts its file; through the library, in one process. */
export const connections: Work = {
  name: 'connections',
  isForDisk: false,
  room: (sizes) => sizes.connections * PUT_BYTES,
  prepare: async (setting) => [
    {
      what: `${setting.sizes.connections} connections put 256K each`,
      program: 'sealift',
      amount: { count: setting.sizes.connections, unit: 'connections' },
      run: () => connectAll(setting),
    },
  ],
};

async function connectAll({ sizes, peers: { sealift } }: Setting) {
  const client = fileURLToPath(import.meta.resolve('./connections-client.ts'));
  const { program, port, pin } = sealift;
  const numbers = [port, sizes.connections, PUT_BYTES].map(String);
  const cost = await measured(sealift, [process.execPath, client, program, pin, ...numbers]);
  for (let index = 0; index < sizes.connections; index += 1) {
    const stored = join(sealift.root, nameOf(index));
    if (!readFileSync(stored).equals(contentOf(index, PUT_BYTES)))
      throw new Error(`${stored} is not what was sent.`);
    remove(stored);
  }
  return cost;
}
