import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** An empty directory for one test, on the disk of this machine. */
export interface TemporaryRoot {
  path: string;
  /** The path of what stands at `names` in it, as the file system knows it. */
  at(...names: string[]): string;
  remove(): void;
}

export function temporaryRoot(): TemporaryRoot {
  const path = mkdtempSync(join(tmpdir(), 'sealift-store-'));
  return {
    path,
    at: (...names) => join(path, ...names),
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}
