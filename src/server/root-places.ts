import { realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';

import { isDiskFull, SealiftError, systemCode } from '../errors.ts';
import { makeDirectories } from '../local-sync.ts';
import { Directory } from '../storage/fs/directory.ts';
import { systemFiles } from '../storage/fs/file-system.ts';
import { SyncedDirectories } from '../storage/fs/synced-directories.ts';
import { isOwnName } from '../storage/own-names.ts';

const NO_LINKS =
  'No symbolic link is followed in the directory that is served, where clients may make one. Give the root as an absolute path of where it really lies.';

/** Where a directory lies that is served: at `top`, or, with no link on the way, at `below` in it. */
export interface RootPlace {
  /** The operator's own links to it are followed. */
  top: string;
  /** The way down from there, in what is served, and may be changed by clients. */
  below: readonly string[];
}

/** Where `directory` lies for a server that serves `main`, which stands. */
export async function placeOf(directory: string, main: string): Promise<RootPlace> {
  const real = await realpath(main);
  for (const top of [resolve(main), real]) {
    const way = relative(top, directory);
    const isInside = way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
    if (isInside) return { top: real, below: way === '' ? [] : way.split(sep) };
  }
  return { top: directory, below: [] };
}

/** The path of the directory at `place`. */
export function pathOf({ top, below }: RootPlace): string {
  return join(top, ...below);
}

/** Makes the directories that are missing; their names are on the disk then. Throws `bad-configuration`, and `local-no-space` where the disk is full. */
export async function makePlace(place: RootPlace): Promise<void> {
  const { top, below } = place;
  try {
    if (below.length === 0) await makeDirectories(top);
    else await makeBelow(place);
  } catch (cause) {
    const code = isDiskFull(cause) ? 'local-no-space' : 'bad-configuration';
    if (systemCode(cause) === 'EEXIST')
      throw new SealiftError('bad-configuration', `${pathOf(place)} is no directory.`, {
        cause,
        hint: 'To serve a file, serve the directory that it is in.',
      });
    const message = `The directory ${pathOf(place)} cannot be made (${systemCode(cause) ?? String(cause)}).`;
    const mayBeLink = below.length > 0 && ['ENOTDIR', 'ELOOP'].includes(systemCode(cause) ?? '');
    throw new SealiftError(code, message, mayBeLink ? { cause, hint: NO_LINKS } : { cause });
  }
}

async function makeBelow({ top, below }: RootPlace): Promise<void> {
  if (below.some(isOwnName)) throw new Error('it belongs to the service');
  const directory = await Directory.open(systemFiles, top);
  try {
    const way = { mode: 0o777, isDurable: true };
    const last = await SyncedDirectories.of(systemFiles).wayDown(directory, below, way);
    await last.close();
  } finally {
    await directory.close();
  }
}
