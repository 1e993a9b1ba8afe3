import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test as base } from 'vitest';

/** `test` with an empty directory of its own, removed afterwards. */
export const test = base.extend<{ directory: string }>({
  // eslint-disable-next-line no-empty-pattern -- how vitest wants to be told that nothing else is needed
  directory: async ({}, use) => {
    const directory = await mkdtemp(join(tmpdir(), 'sealift-trust-'));
    await use(directory);
    await rm(directory, { recursive: true, force: true });
  },
});
