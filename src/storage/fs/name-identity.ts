import type { Random } from '../../random.ts';
import type { StoreFeatures } from '../store.ts';
import type { Directory } from './directory.ts';
import { statsAt, unlinkIfThere } from './entries.ts';
import { OPEN, type FileSystem } from './file-system.ts';
import { uniqueName } from './state-directory.ts';

/**
 * Finds out which names are the same to the file system of `directory`, by making a file and looking for it under
 * another name. Where no file can be made (a full disk still serves what is on it), names are taken to differ.
 */
export async function nameIdentity(
  files: FileSystem,
  directory: Directory,
  random: Random,
): Promise<Pick<StoreFeatures, 'distinguishesCase' | 'distinguishesForms'>> {
  const prefix = `probe-${uniqueName(random)}-`;
  const isSame = (ending: string, variant: string) =>
    isFoundAs(files, directory, prefix + ending, prefix + variant).catch(() => false);
  return {
    distinguishesCase: !(await isSame('a', 'A')),
    distinguishesForms: !(await isSame('\u00e9', 'e\u0301')),
  };
}

async function isFoundAs(
  files: FileSystem,
  directory: Directory,
  name: string,
  variant: string,
): Promise<boolean> {
  const file = await files.open(directory.child(name), OPEN.create, 0o600);
  try {
    await file.close();
    return (await statsAt(files, directory.child(variant))) !== undefined;
  } finally {
    await unlinkIfThere(files, directory.child(name));
  }
}
