import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { nextTurn } from '../../src/cli/round-robin.ts';
import { failureOf } from '../support/failure.ts';
import { temporaryDirectory } from '../support/test-server.ts';

async function start() {
  const state = await temporaryDirectory();
  return { directories: { state, config: state }, file: join(state, 'turns', 'box') };
}

test('each run has the next turn, also when several ask at once', async () => {
  const { directories } = await start();
  const turns = await Promise.all([0, 1, 2].map(() => nextTurn(directories, 'box')));
  expect(turns.sort()).toEqual([0, 1, 2]);
  expect(await nextTurn(directories, 'other')).toBe(0);
  expect(await nextTurn(directories, 'box')).toBe(3);
});

test('a file that holds something else is told, not overwritten', async () => {
  const { directories, file } = await start();
  mkdirSync(join(directories.state, 'turns'));
  writeFileSync(file, 'seven\n', { mode: 0o600 });
  const failure = await failureOf(nextTurn(directories, 'box'));
  expect(failure.code).toBe('bad-configuration');
  expect(failure.message).toContain(file);
  expect(readFileSync(file, 'utf8')).toBe('seven\n');
});
