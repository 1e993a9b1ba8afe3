import { readlinkSync, realpathSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { onTestFinished, vi } from 'vitest';

/** The files and directories below `root` that this thread syncs from now on, each time by its path; the root is ''. Without what is the store's own. */
export async function watchSyncs(root: string): Promise<string[]> {
  const synced: string[] = [];
  const base = realpathSync(root);
  const handle = await open(base);
  await handle.close();
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  const { sync } = prototype;
  const spy = vi.spyOn(prototype, 'sync').mockImplementation(async function (this: FileHandle) {
    const path = readlinkSync(`/proc/self/fd/${this.fd}`).slice(base.length);
    if (!path.startsWith('/.sealift')) synced.push(path);
    await sync.call(this);
  });
  onTestFinished(() => spy.mockRestore());
  return synced;
}
