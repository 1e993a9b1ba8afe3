import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, vi } from 'vitest';

/** Puts a program in the place of `sync` for this test, which notes what each call names and then does what `lines` say. Answers what tells that of the calls so far. */
export function replaceSync(lines: string): () => string[] {
  const directory = mkdtempSync(join(tmpdir(), 'sealift-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const noted = join(directory, 'calls');
  writeFileSync(join(directory, 'sync'), `#!/bin/sh\nreadlink -f "$2" >> '${noted}'\n${lines}\n`, {
    mode: 0o755,
  });
  vi.stubEnv('PATH', `${directory}:${process.env['PATH']}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  return () => (existsSync(noted) ? readFileSync(noted, 'utf8').trim().split('\n') : []);
}
