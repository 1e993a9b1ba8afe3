import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { benchLocal } from '../../../src/diagnostics/bench/local.ts';
import { CIPHER_SUITES } from '../../../src/diagnostics/bench/works.ts';
import { BLOCK_BYTES } from '../../../src/protocol/limits.ts';
import { isBlake3Available } from '../../../src/transfer/digests.ts';
import { failureOf } from '../../client/setting.ts';
import { temporaryDirectory } from '../../support/test-server.ts';

const BOUNDS = { durationMs: 50, maxBytes: 8 * BLOCK_BYTES, signal: new AbortController().signal };

test('measures this machine, within its bounds, and leaves no file behind', async () => {
  const directory = await temporaryDirectory();
  const results = await Array.fromAsync(benchLocal({ ...BOUNDS, directory }));
  expect(results.map(({ kind, name }) => `${kind} ${name}`.trim())).toEqual([
    'copy',
    'hash sha256',
    ...(isBlake3Available() ? ['hash blake3'] : []),
    ...CIPHER_SUITES.map((suite) => `cipher ${suite}`),
    `disk ${directory}`,
  ]);
  for (const result of results) expect(result).toHaveProperty('latency.p99');
  const moved = results.filter(({ kind }) => kind === 'cipher' || kind === 'disk');
  for (const result of moved)
    expect([BLOCK_BYTES, 2 * BLOCK_BYTES]).toContain('bytes' in result ? result.bytes : undefined);
  expect(await readdir(directory)).toEqual([]);
});

test('a directory that is not there is named', async () => {
  const directory = join(await temporaryDirectory(), 'none');
  const { code, message } = await failureOf(Array.fromAsync(benchLocal({ ...BOUNDS, directory })));
  expect(code).toBe('local-file');
  expect(message).toContain(directory);
});
