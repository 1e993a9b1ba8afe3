import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';

import { isInstalled } from '../support/installed.ts';
import { temporaryDirectory } from '../support/test-server.ts';

const hasSystemd = isInstalled('systemd-analyze', '--version');

/** The unit, where the program is one that is surely there: `verify` looks for it. */
async function unit(): Promise<string> {
  const file = join(await temporaryDirectory(), 'sealift.service');
  const text = readFileSync('scripts/sealift.service', 'utf8');
  writeFileSync(file, text.replace('/usr/local/bin/sealift', process.execPath));
  return file;
}

describe.skipIf(!hasSystemd)('the unit for systemd', () => {
  const analyze = async (...args: string[]) =>
    promisify(execFile)('systemd-analyze', [...args, await unit()]);

  test('is one that systemd finds nothing to say of', async () => {
    expect(await analyze('verify')).toEqual({ stdout: '', stderr: '' });
  });

  test('leaves little exposed: 2 of 10 at most', async () => {
    // Fails above the threshold, which is in tenths.
    await analyze('security', '--offline=true', '--threshold=20');
  });
});
