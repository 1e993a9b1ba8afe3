import fc from 'fast-check';
import { expect, test } from 'vitest';

import { LISTING_PAGE_BYTES, MAX_HEADER_BYTES } from '../../src/protocol/limits.ts';
import { readListEntry, readListing } from '../../src/protocol/responses.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { holds } from '../support/properties.ts';
import { startTestServer } from '../support/test-server.ts';

/** So many bytes more than a page the last entry of it may be: a path and a target of 4 KiB, each of which JSON writes six times as long at worst. */
const MAX_ENTRY_BYTES = 3 * MAX_HEADER_BYTES;

test('a listing of any length comes in pages that are no longer than they may be, with every entry once', async (context) => {
  const store = new MemoryStore();
  const client = await (await startTestServer({ store })).login();
  let run = 0;
  const names = fc.uniqueArray(
    fc.tuple(fc.nat(1_000), fc.constantFrom('', 'x'.repeat(240), 'é'.repeat(100), '"\\'.repeat(100))),
    { selector: ([number]) => number, maxLength: 600, size: 'max' },
  );
  await holds(
    context,
    fc.asyncProperty(names, fc.nat(14), async (given, depth) => {
      run += 1;
      const directory = [`run ${run}`, ...Array.from({ length: depth }, () => 'd'.repeat(250))].join('/');
      await store.mkdir(directory, {});
      const paths = given.map(([number, rest]) => `${directory}/${number}${rest}`);
      for (const path of paths)
        await store.symlink(path, 'target', { condition: { if: 'any' }, mayReplace: true });
      const { content, parts } = await client.askOk('list', { path: directory });
      const pages = [...parts.map((part) => part.content), content];
      for (const page of pages) expect(page.length).toBeLessThan(LISTING_PAGE_BYTES + MAX_ENTRY_BYTES);
      const entries = pages.flatMap((page) => readListing(page, 'entries', readListEntry));
      expect(entries.map((entry) => entry.path).sort()).toEqual(paths.sort());
    }),
    { numRuns: 15 },
  );
});
