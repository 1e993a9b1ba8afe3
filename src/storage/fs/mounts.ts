import { mountPoints, type FileSystem } from './file-system.ts';
import { otherFileSystem } from './store-errors.ts';
import type { Place } from './tree.ts';

/** Throws `unsupported` where something is mounted at the directory `place` or below, as far as the system tells: removed with the directory, all that is in it would be gone. */
export async function assertNothingMounted(files: FileSystem, place: Place, path: string): Promise<void> {
  const top = await files.realpath(place.systemPath);
  for (const point of await mountPoints())
    if (point === top || point.startsWith(`${top}/`)) throw otherFileSystem(path + point.slice(top.length));
}
