import { floorMilliseconds } from '../../clock.ts';
import type { Random } from '../../random.ts';
import { TIME_GRAINS_MS } from '../../transfer/time-grains.ts';
import type { StoreFeatures } from '../store.ts';
import type { Directory } from './directory.ts';
import { statsAt, unlinkIfThere } from './entries.ts';
import { OPEN, type FileSystem } from './file-system.ts';
import { uniqueName } from './state-directory.ts';

/**
 * Finds out which names are the same to the file system of `directory`, and to what it keeps times, by making a file and
 * looking for it under another name, or at its time. Where no file can be made (a full disk still serves what is on it),
 * names and times are taken to differ.
 */
export async function probedFeatures(
  files: FileSystem,
  directory: Directory,
  random: Random,
): Promise<Pick<StoreFeatures, 'distinguishesCase' | 'distinguishesForms' | 'timeGrainMs'>> {
  const prefix = `probe-${uniqueName(random)}-`;
  const isSame = (ending: string, variant: string) =>
    isFoundAs(files, directory, prefix + ending, prefix + variant).catch(() => false);
  return {
    distinguishesCase: !(await isSame('a', 'A')),
    distinguishesForms: !(await isSame('\u00e9', 'e\u0301')),
    timeGrainMs: await timeGrain(files, directory, `${prefix}t`).catch(() => 1),
  };
}

/** Each of the grains keeps something else of it. */
const PROBED_MS = 1_790_000_001_987;

async function timeGrain(files: FileSystem, directory: Directory, name: string): Promise<number> {
  return withFile(files, directory, name, async (path) => {
    await files.setTimes(path, PROBED_MS, PROBED_MS);
    const keptMs = floorMilliseconds((await files.lstat(path)).mtimeNs);
    return TIME_GRAINS_MS.find((grain) => keptMs === PROBED_MS - (PROBED_MS % grain)) ?? 1;
  });
}

function isFoundAs(files: FileSystem, directory: Directory, name: string, variant: string): Promise<boolean> {
  return withFile(
    files,
    directory,
    name,
    async () => (await statsAt(files, directory.child(variant))) !== undefined,
  );
}

async function withFile<T>(
  files: FileSystem,
  directory: Directory,
  name: string,
  task: (path: string) => Promise<T>,
): Promise<T> {
  const path = directory.child(name);
  const file = await files.open(path, OPEN.create, 0o600);
  try {
    await file.close();
    return await task(path);
  } finally {
    await unlinkIfThere(files, path);
  }
}
