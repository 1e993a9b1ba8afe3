import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';

import { BlockTracker } from '../../src/server/block-tracker.ts';
import type { Upload } from '../../src/server/upload.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as (options: { execution: 'async' }) => Promise<void>;

const UPLOAD = { held: { has: () => false } } as unknown as Upload;

test('of blocks that have ended nothing is kept, also while there are always others under way', async () => {
  const blocks = new BlockTracker();
  const begin = (index: number) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    return { tracked: blocks.track(UPLOAD, index, () => promise), resolve, reject };
  };
  const failure = failing(begin(0));
  let last = begin(1);
  for (let index = 2; index < 10; index += 1) {
    const next = begin(index);
    last.resolve();
    await last.tracked;
    last = next;
  }
  await failure.ended;
  await collectGarbage({ execution: 'async' });
  expect(failure.error.deref()).toBeUndefined();
  last.resolve();
  expect(await last.tracked).toBe(false);
});

/** Lets a block fail, for a reason that nobody here holds. */
function failing({ tracked, reject }: { tracked: Promise<unknown>; reject: (error: Error) => void }) {
  const error = new Error('not written');
  reject(error);
  return { error: new WeakRef(error), ended: tracked.catch(() => undefined) };
}
