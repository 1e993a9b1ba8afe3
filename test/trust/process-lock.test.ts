import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';

import { claimProcessLock } from '../../src/trust/process-lock.ts';
import { failureOf } from '../client/setting.ts';
import { temporaryDirectory } from '../support/test-server.ts';

const SOURCE = resolve(import.meta.dirname, '../../src/trust/process-lock.ts');

async function lockPath(): Promise<string> {
  return join(await temporaryDirectory(), 'lock');
}

/** Another process that holds the lock until it is killed. */
async function claimElsewhere(path: string) {
  const script = `
    import { claimProcessLock } from ${JSON.stringify(SOURCE)};
    await claimProcessLock(${JSON.stringify(path)}, 'it');
    process.stdout.write('held');
    process.stdin.resume();`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return {
    pid: child.pid,
    kill: async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

test('is held by one at a time, and given back', async () => {
  const path = await lockPath();
  const lock = await claimProcessLock(path, 'the file');
  const error = await failureOf(claimProcessLock(path, 'the file'));
  expect(error).toMatchObject({ code: 'locked', retryable: false, hint: 'Wait for it, or end it.' });
  expect(error.message).toContain(`process ${process.pid}`);
  expect(error.message).toContain('the file');
  await lock.release();
  const again = await claimProcessLock(path, 'the file');
  // The first has nothing to give back any more.
  await lock.release();
  expect((await failureOf(claimProcessLock(path, 'the file'))).code).toBe('locked');
  await again.release();
});

test.each([
  ['no lock', undefined],
  ['a dead one', { host: hostname(), pid: 999_999_999, began: '1' }],
])('of many who claim it at once, one gets it, where there is %s', async (_, stale) => {
  for (let round = 0; round < 20; round += 1) {
    const path = await lockPath();
    if (stale) await writeFile(path, JSON.stringify(stale));
    const claims = await Promise.allSettled(Array.from({ length: 10 }, () => claimProcessLock(path, 'it')));
    const refusals = claims.flatMap((claim) =>
      claim.status === 'rejected' ? [claim.reason as unknown] : [],
    );
    expect(refusals).toHaveLength(9);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'locked' });
    expect(await readdir(join(path, '..'))).toEqual(['lock']);
  }
});

test('belongs to a process for as long as it lives, and no longer', async () => {
  const path = await lockPath();
  const other = await claimElsewhere(path);
  const error = await failureOf(claimProcessLock(path, 'it'));
  expect(error.code).toBe('locked');
  expect(error.message).toContain(`process ${other.pid}`);
  await other.kill();
  await (await claimProcessLock(path, 'it')).release();
});

test('a killed process does not keep it by having had our number', async () => {
  const path = await lockPath();
  const lock = await claimProcessLock(path, 'it');
  const owner = JSON.parse(await readFile(path, 'utf8')) as { pid: number; began: string };
  await lock.release();
  expect(owner).toMatchObject({ host: hostname(), pid: process.pid, began: expect.stringMatching(/^\d+$/) });
  await writeFile(path, JSON.stringify({ ...owner, began: `${Number(owner.began) - 1}` }));
  await (await claimProcessLock(path, 'it')).release();
});

test('a process on another machine counts as alive', async () => {
  const path = await lockPath();
  await writeFile(path, JSON.stringify({ host: 'elsewhere.example', pid: 1, began: '1' }));
  expect(await failureOf(claimProcessLock(path, 'it'))).toMatchObject({
    code: 'locked',
    hint: `If it is gone, remove ${path}.`,
  });
});

test.each(['', '{"host":"he', 'null', '[]', '{"pid":"1"}', '\0\0\0\0'])(
  'one that names nobody (%j) was left by a crash, and is taken over',
  async (text) => {
    const path = await lockPath();
    await writeFile(path, text);
    await (await claimProcessLock(path, 'it')).release();
    expect(await readdir(join(path, '..'))).toEqual([]);
  },
);

test('a zombie, whose parent has not noticed its end, keeps nothing', async () => {
  const path = await lockPath();
  // The child ends once its parent is no shell any more, which would wait for it.
  const child = '(until grep -q sleep /proc/$$/comm; do :; done)';
  const parent = spawn('bash', ['-c', `${child} & echo $!; exec sleep 60`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void parent.kill('SIGKILL'));
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  await vi.waitUntil(() => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')), { timeout: 10_000 });
  const [, began = ''] = /\) (?:\S+ ){19}(\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
  await writeFile(path, JSON.stringify({ host: hostname(), pid, began }));
  await (await claimProcessLock(path, 'it')).release();
});

test('a directory that does not exist is told', async () => {
  const error = await failureOf(claimProcessLock(join(await lockPath(), 'no', 'lock'), 'it'));
  expect(error.code).toBe('local-file');
});
