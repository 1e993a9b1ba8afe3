import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { systemClock, type Clock } from '../../../src/clock.ts';
import { systemRandom, type Random } from '../../../src/random.ts';
import { createAuthority, type Authority, type NewAuthority } from '../../../src/trust/ca/authority.ts';

export const DAY_MS = 86_400_000;

/** A new authority in `directory`, by the time of this machine unless told otherwise. */
export function newAuthority(
  directory: string,
  {
    clock = systemClock,
    random = systemRandom,
    ...content
  }: Partial<NewAuthority> & { clock?: Clock; random?: Random } = {},
): Promise<Authority> {
  return createAuthority(
    directory,
    { name: 'Test CA', days: 3_650, crlDays: 90, ...content },
    { clock, random },
  );
}

/** What the openssl program prints. Throws if it fails. */
export function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });
}

/** What `openssl verify` says to a certificate as strictly as it can, on both streams. */
export function verdict(file: string, ca: string, ...more: string[]): string {
  const args = ['verify', '-x509_strict', ...more, '-CAfile', ca, file];
  const { stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  return stdout + stderr;
}

/** A file as text. */
export function textOf(file: string): string {
  return readFileSync(file, 'utf8');
}

/** Random numbers as those of this machine, until the file of this number is to be written: then comes a crash. */
export function crashingAt(file: number): Random {
  let files = 0;
  return {
    ...systemRandom,
    bytes: (length) => {
      // The temporary name of each file has 8 bytes, and nothing else has.
      if (length === 8) files += 1;
      if (files === file) throw new Error('crash');
      return systemRandom.bytes(length);
    },
  };
}
