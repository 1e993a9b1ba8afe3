import { expect, test } from 'vitest';

import { MemoryStore } from '../../src/storage/memory-store.ts';
import { startTestServer, tokenOf } from '../support/test-server.ts';

test.each([
  [{}, ['symlink']],
  [{ symlinks: false }, []],
  [{ distinguishesCase: false }, ['symlink', 'case-insensitive']],
  [{ versions: true }, ['symlink', 'versions']],
  [{ distinguishesForms: false }, ['symlink', 'normalization-insensitive']],
  [
    { distinguishesCase: false, distinguishesForms: false },
    ['symlink', 'case-insensitive', 'normalization-insensitive'],
  ],
])('the hello tells of a store with %j', async (given, expected) => {
  class Store extends MemoryStore {
    override readonly features = {
      symlinks: true,
      distinguishesCase: true,
      distinguishesForms: true,
      timeGrainMs: 10,
      versions: false,
      ...given,
    };
  }
  const { connect } = await startTestServer({ store: new Store() });
  const { header } = await (await connect()).hello({ token: tokenOf('tester') });
  const names = ['symlink', 'case-insensitive', 'normalization-insensitive', 'versions'];
  expect(header['time-grain-ms']).toBe(10);
  expect((header['features'] as string[]).filter((name) => names.includes(name))).toEqual(expected);
});
