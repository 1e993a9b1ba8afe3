import { lstat, open, readdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { systemCode } from '../../errors.ts';
import { systemRandom } from '../../random.ts';
import { keepingTime } from './keeping-time.ts';
import type { NameFolding } from './tree-entry.ts';

/**
 * What names in `directory` may differ in and are the same there, as what stands in it shows, or else a file that is made
 * there for a moment if `mayWrite`. Where neither tells, or where the directory does not stand yet, the one above is
 * asked. A name of the directory itself tells nothing: it may be a mount point, or the first that folds.
 */
export async function localNameFolding(
  directory: string,
  options: { mayWrite: boolean },
): Promise<NameFolding> {
  const told =
    (await toldByNames(directory)) ?? (options.mayWrite ? await toldByNewFile(directory) : undefined);
  if (told !== undefined) return told;
  const above = dirname(directory);
  return above === directory ? { case: false, forms: false, ends: false } : localNameFolding(above, options);
}

async function toldByNames(directory: string): Promise<NameFolding | undefined> {
  const names = new Set(await readdir(directory).catch(() => []));
  for (const name of names) {
    if (swapCase(name) === name || names.has(swapCase(name))) continue;
    const told = await toldByName(directory, name, names);
    // Unless it went meanwhile.
    if (await stands(join(directory, name))) return told;
  }
  return undefined;
}

async function toldByNewFile(directory: string): Promise<NameFolding | undefined> {
  // As what transfers leave: what a process that dies now leaves, `sealift clean` removes.
  const name = `.sealift-${systemRandom.bytes(8).toString('hex')}.part`;
  const path = join(directory, name);
  try {
    return await keepingTime(directory, async () => {
      const file = await open(path, 'wx', 0o600);
      try {
        await file.close();
        return await toldByName(directory, name, new Set([name]));
      } finally {
        await unlink(path);
      }
    });
  } catch {
    return undefined;
  }
}

/** As other spellings of a name show that stands. What one of `names`, which stand too, explains shows nothing. */
async function toldByName(directory: string, name: string, names: ReadonlySet<string>): Promise<NameFolding> {
  // Where case makes no difference, as on a Mac, the form of accents makes none.
  const isFolding = await stands(join(directory, swapCase(name)));
  if (!isFolding) return { case: false, forms: false, ends: false };
  const folded = new Set([...names].map((each) => each.toLowerCase()));
  const isSame = async (other: string) =>
    !folded.has(other.toLowerCase()) && !(await isMissing(join(directory, other)));
  return { case: true, forms: true, ends: (await isSame(`${name}.`)) || (await isSame(`${name} `)) };
}

/** Whether nothing stands there for certain: a name may have become too long. */
async function isMissing(path: string): Promise<boolean> {
  return lstat(path).then(
    () => false,
    (error: unknown) => systemCode(error) === 'ENOENT',
  );
}

async function stands(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Only of the letters that every file system knows the case of. */
function swapCase(name: string): string {
  return name.replace(/[a-z]/gi, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  );
}
