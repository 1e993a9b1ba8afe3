import { lstat, open, readdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { systemRandom } from '../../random.ts';
import { keepingTime } from './keeping-time.ts';

/**
 * Whether names in `directory` that differ only in case are different names, as what stands in it shows, or else a file
 * that is made there for a moment if `mayWrite`. Where neither tells, or where the directory does not stand yet, the one
 * above is asked. A name of the directory itself tells nothing: it may be a mount point, or the first that folds.
 */
export async function distinguishesCase(directory: string, options: { mayWrite: boolean }): Promise<boolean> {
  const told =
    (await toldByNames(directory)) ?? (options.mayWrite ? await toldByNewFile(directory) : undefined);
  if (told !== undefined) return told;
  const above = dirname(directory);
  return above === directory || distinguishesCase(above, options);
}

async function toldByNames(directory: string): Promise<boolean | undefined> {
  const names = new Set(await readdir(directory).catch(() => []));
  for (const name of names) {
    const other = swapCase(name);
    if (other === name || names.has(other)) continue;
    if (await stands(join(directory, other))) return false;
    // Unless it went meanwhile.
    if (await stands(join(directory, name))) return true;
  }
  return undefined;
}

async function toldByNewFile(directory: string): Promise<boolean | undefined> {
  // As what transfers leave: what a process that dies now leaves, `sealift clean` removes.
  const name = `.sealift-${systemRandom.bytes(8).toString('hex')}.part`;
  const path = join(directory, name);
  try {
    return await keepingTime(directory, async () => {
      const file = await open(path, 'wx', 0o600);
      try {
        await file.close();
        return !(await stands(join(directory, swapCase(name))));
      } finally {
        await unlink(path);
      }
    });
  } catch {
    return undefined;
  }
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
