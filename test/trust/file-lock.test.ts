import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { lockPath, STALE_LOCK_MS, withFileLock } from '../../src/trust/file-lock.ts';
import { ownerOf } from '../../src/trust/lock-owner.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { test } from './scratch.ts';

/** Lets time pass whenever somebody waits for it, until `work` is done; `onWait` sees each time. */
async function passTime(clock: FakeClock, work: Promise<unknown>, onWait = async () => {}): Promise<void> {
  const done = work.then(
    () => 'done',
    () => 'done',
  );
  while ((await Promise.race([done, clock.whenScheduled()])) !== 'done') {
    await onWait();
    clock.advance(clock.nextDelayMs ?? 0);
  }
}

test('runs one action after the other in this process, whether they fail or not', async ({ directory }) => {
  const path = join(directory, 'state');
  const events: string[] = [];
  const run = (name: string, fails: boolean) =>
    withFileLock(path, async () => {
      events.push(`${name} begins`);
      await readdir(directory);
      events.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const results = await Promise.allSettled([run('a', false), run('b', true), run('c', false)]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(events).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  expect(await readdir(directory)).toEqual([]);
});

test('waits for the lock of another process, and goes on when it is released', async ({ directory }) => {
  const path = join(directory, 'state');
  const clock = new FakeClock();
  await writeFile(lockPath(path), '1\n');
  let waits = 0;
  const work = withFileLock(path, async () => 'done', { clock });
  await passTime(clock, work, async () => {
    waits += 1;
    if (waits === 5) await rm(lockPath(path));
  });
  expect(await work).toBe('done');
  expect(waits).toBe(5);
  expect(clock.pendingCount).toBe(0);
});

test('takes over the lock of a process that died, but not before its time', async ({ directory }) => {
  const path = join(directory, 'state');
  const clock = new FakeClock();
  await writeFile(lockPath(path), '1\n');
  const work = withFileLock(path, async () => clock.monotonicMs(), { clock });
  await passTime(clock, work);
  expect(await work).toBeGreaterThanOrEqual(STALE_LOCK_MS);
  expect(await work).toBeLessThan(STALE_LOCK_MS + 100);
  expect(await readdir(directory)).toEqual([]);
});

test('takes over the lock of a process of this machine that died, at once', async ({ directory }) => {
  const path = join(directory, 'state');
  const dead = { host: hostname(), pid: 999_999_999, began: '1' };
  await writeFile(lockPath(path), JSON.stringify(dead));
  expect(await withFileLock(path, async () => 'done', { clock: new FakeClock() })).toBe('done');
  expect(await readdir(directory)).toEqual([]);
});

test('waits for the lock of a process of another machine, whatever its number', async ({ directory }) => {
  const path = join(directory, 'state');
  const clock = new FakeClock();
  await writeFile(lockPath(path), JSON.stringify({ host: 'elsewhere', pid: 999_999_999, began: '1' }));
  const work = withFileLock(path, async () => clock.monotonicMs(), { clock });
  await passTime(clock, work);
  expect(await work).toBeGreaterThanOrEqual(STALE_LOCK_MS);
});

test('takes no lock over that changes hands, and gives up after a minute', async ({ directory }) => {
  const path = join(directory, 'state');
  const clock = new FakeClock();
  let renewed = 0;
  const renew = async () => {
    if (clock.monotonicMs() < renewed * 5_000) return;
    renewed += 1;
    await rm(lockPath(path), { force: true });
    await writeFile(lockPath(path), `${renewed}\n`);
  };
  await renew();
  const work = withFileLock(path, async () => 'done', { clock });
  await passTime(clock, work, renew);
  await expect(work).rejects.toMatchObject({
    code: 'local-file',
    hint: expect.stringContaining(lockPath(path)),
  });
  expect(await readFile(lockPath(path), 'utf8')).toBe(`${renewed}\n`);
});

test('a lock that another waiter has just made its own is put back', async ({ directory }) => {
  const path = join(directory, 'state');
  const clock = new FakeClock();
  await writeFile(lockPath(path), 'dead\n');
  let attempts = 0;
  // Bytes are asked for once for the own lock, and then when the dead one is about to be taken away: the last moment to be faster.
  const bytes = (length: number) => {
    attempts += 1;
    if (attempts === 2) {
      rmSync(lockPath(path));
      writeFileSync(lockPath(path), 'alive\n');
    }
    return Buffer.alloc(length);
  };
  let isAlive = false;
  const work = withFileLock(path, async () => clock.monotonicMs(), {
    clock,
    random: { bytes, fraction: () => 0.5 },
  });
  await passTime(clock, work, async () => {
    if (attempts === 2) isAlive ||= (await readFile(lockPath(path), 'utf8')) === 'alive\n';
  });
  expect(isAlive).toBe(true);
  expect(await work).toBeGreaterThanOrEqual(2 * STALE_LOCK_MS);
  expect(await readdir(directory)).toEqual([]);
});

test('an action that lost its lock is told so, and leaves the lock of the other', async ({ directory }) => {
  const path = join(directory, 'state');
  const work = withFileLock(path, async (assertHeld) => {
    await assertHeld();
    await rm(lockPath(path));
    await writeFile(lockPath(path), 'another\n');
    await assertHeld();
  });
  await expect(work).rejects.toMatchObject({ code: 'local-file' });
  expect(await readFile(lockPath(path), 'utf8')).toBe('another\n');
});

test('a directory that is not there is an error', async ({ directory }) => {
  const work = withFileLock(join(directory, 'none', 'state'), async () => 'done');
  await expect(work).rejects.toMatchObject({ code: 'local-file' });
});

test('the lock says from its first moment whose it is', async ({ directory }) => {
  const path = join(directory, 'state');
  const said = await withFileLock(path, async () => readlink(lockPath(path)));
  expect(ownerOf(said)).toMatchObject({ host: hostname(), pid: process.pid });
});

test('takes over the lock of a process that was killed at any moment of making it, at once', async ({
  directory,
}) => {
  const path = join(directory, 'state');
  const module = new URL('../../src/trust/file-lock.ts', import.meta.url).href;
  // The process stops itself at each of its system calls in turn: whatever it has done by then stays.
  for (let call = 1; ; call += 1) {
    const script = `
      import fs from 'node:fs/promises';
      import { syncBuiltinESMExports } from 'node:module';
      let left = ${call};
      for (const [name, real] of Object.entries(fs))
        if (typeof real === 'function')
          fs[name] = async (...args) => {
            const done = await real(...args);
            left -= 1;
            if (left === 0) process.kill(process.pid, 'SIGKILL');
            return done;
          };
      syncBuiltinESMExports();
      const { withFileLock } = await import(${JSON.stringify(module)});
      await withFileLock(${JSON.stringify(path)}, async () => undefined);`;
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '--eval', script]);
    const clock = new FakeClock();
    expect(await withFileLock(path, async () => 'done', { clock }), `call ${call}`).toBe('done');
    expect(await readdir(directory)).toEqual([]);
    if (signal === null) return;
  }
});

test('a lock of an older version, which was a file, is understood', async ({ directory }) => {
  const path = join(directory, 'state');
  const clock = new FakeClock();
  const living = JSON.stringify({ host: hostname(), pid: process.pid, began: '' });
  await writeFile(lockPath(path), living);
  const work = withFileLock(path, async () => clock.monotonicMs(), { clock });
  await passTime(clock, work);
  expect(await work).toBeGreaterThanOrEqual(STALE_LOCK_MS);
});
