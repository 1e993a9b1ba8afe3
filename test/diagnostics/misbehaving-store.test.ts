import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { misbehaving, type Misbehaviour } from '../../src/diagnostics/misbehaving-store.ts';
import { seededRandom } from '../../src/random.ts';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { failureOf, fetchTo, MIB, noise, NEVER, send, startSetting } from '../client/setting.ts';
import { describeStoreContract } from '../contract/store.ts';
import { FakeClock } from '../support/fake-clock.ts';

describeStoreContract('a store that could misbehave, and does not', async (options) => {
  const store = misbehaving(new MemoryStore(options), new Set(), {
    clock: new FakeClock(),
    random: seededRandom(1),
  });
  return { store, reopen: async () => store, close: async () => store[Symbol.asyncDispose]() };
});

/** A server whose store misbehaves. */
function settingThat(...kinds: Misbehaviour[]) {
  const random = seededRandom(1);
  return startSetting(
    {},
    { decorateStore: (store) => misbehaving(store, new Set(kinds), { clock: systemClock, random }) },
  );
}

describe.each([
  ['one block', 1_000],
  ['several blocks', 3 * MIB],
])('a file of %s', (_, size) => {
  const content = noise(size);

  test('does not fit a full disk: no-space at once, and what is there can be fetched', async () => {
    const { connector, local, remote, directory } = await settingThat('no-space');
    const failure = await failureOf(send(connector(), await local(content), 'sent'));
    expect(failure).toMatchObject({ code: 'no-space', message: expect.stringContaining('on purpose') });
    await remote(content, 'there');
    await fetchTo(connector(), 'there', join(directory, 'back'), { retry: NEVER });
    expect((await readFile(join(directory, 'back'))).equals(content)).toBe(true);
  });

  test('goes to a busy server and back, with retries', async () => {
    const { connector, local, root, directory } = await settingThat('busy');
    const codes: string[] = [];
    for (const round of [1, 2, 3, 4]) {
      const onRetry = ({ error }: { error: { code: string } }) => codes.push(error.code);
      await send(connector(), await local(content), `sent-${round}`, { onRetry });
      expect((await readFile(join(root, `sent-${round}`))).equals(content)).toBe(true);
      await fetchTo(connector(), `sent-${round}`, join(directory, `back-${round}`), { onRetry });
      expect((await readFile(join(directory, `back-${round}`))).equals(content)).toBe(true);
    }
    expect(codes).not.toEqual([]);
    expect(new Set(codes)).toEqual(new Set(['busy']));
  });
});

test('a slow disk takes 200 ms longer for each step', async () => {
  const clock = new FakeClock();
  const store = misbehaving(new MemoryStore(), new Set(['slow-disk']), { clock, random: seededRandom(1) });
  let isDone = false;
  const looking = store.stat('').then(() => (isDone = true));
  await clock.whenScheduled();
  clock.advance(199);
  await new Promise((resolve) => setImmediate(resolve));
  expect(isDone).toBe(false);
  clock.advance(1);
  await looking;
});
