import { expect, test, vi } from 'vitest';

import { Client } from '../../../src/client/client.ts';
import type { Message } from '../../../src/protocol/decoder.ts';
import { SealiftError } from '../../../src/errors.ts';
import { MIB, noise } from '../setting.ts';
import { copy, startTrees } from './tree-setting.ts';

/** More than any client tries that gives up. */
const MANY = 60;

test.each([1, 2])('a commit that fails each time ends the file also with %i streams', async (streams) => {
  const trees = await startTrees('put', { big: noise(3 * MIB) });
  const { request } = Client.prototype;
  let commits = 0;
  // A server that loses every upload: real ones do so one time.
  const losing = function (this: Client, ...words: Parameters<typeof request>): Promise<Message> {
    if (words[0] !== 'commit') return request.apply(this, words);
    commits += 1;
    const code = commits > MANY ? 'forbidden' : 'unknown-upload';
    return Promise.reject(new SealiftError(code, 'It is gone.'));
  };
  const spy = vi.spyOn(Client.prototype, 'request').mockImplementation(losing);
  try {
    await copy(trees.direction({ streams }));
    expect(commits).toBeLessThan(MANY);
  } finally {
    spy.mockRestore();
  }
});
