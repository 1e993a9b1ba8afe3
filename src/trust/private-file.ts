import { constants, type Stats } from 'node:fs';
import { lchown, open, readFile, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { SealiftError, systemCode } from '../errors.ts';
import { makeMissingDirectories } from '../missing-directories.ts';
import { systemRandom, type Random } from '../random.ts';
import { shellWord } from '../shell-word.ts';
import { withFileLock, type FileLockOptions } from './file-lock.ts';
import { localFileError } from './local-file-error.ts';
import { removeAbandoned, temporaryPath } from './temporary-file.ts';

/** Windows keeps access lists instead of these bits, and knows no way to sync a directory. */
const HAS_MODES = process.platform !== 'win32';
const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_DIRECTORY = 0o700;
const GROUP_AND_OTHERS = 0o077;

interface UpdateOptions extends FileLockOptions {
  /** Writes the file also where its text stays, to find out whether that can be done. */
  isTrial?: boolean | undefined;
  /**
   * The file is for a server, which may run as somebody else than who changes it: it stays as open as it was, and what
   * root makes anew, the directories too, belongs to the owner of the nearest directory that was there. For nothing that
   * is to be a secret of root.
   */
  isForServer?: boolean | undefined;
}

/**
 * The text of a file of ours (state, keys, principals); undefined only if there is none. What is there but cannot
 * be read is `local-file`, what is no UTF-8 is `bad-configuration`: a damaged file is never taken for a missing
 * one, because what it said (a pin, a revoked token) would silently be forgotten.
 */
export async function readPrivateFile(path: string): Promise<string | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw localFileError('read', path, error);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new SealiftError('bad-configuration', `${path} is not UTF-8 text.`, {
      cause,
      hint: `Restore ${path} from a backup, or remove it.`,
    });
  }
}

/**
 * Writes a file that only its owner may read: mode 0600, in directories of mode 0700 where they are missing. A
 * reader sees the old text or the new, and when this resolves the new one survives a loss of power. A symbolic
 * link is followed, so that a linked configuration stays linked. Throws `local-no-space` or `local-file`.
 */
export async function writePrivateFile(
  path: string,
  text: string,
  random: Random = systemRandom,
): Promise<void> {
  const target = await realTarget(path);
  await makePrivateDirectory(dirname(target));
  await replace(target, text, { random });
}

/**
 * Changes a file of ours in one step: reads it, asks `change` for the new text, writes that as `writePrivateFile`
 * does. `change` gets undefined where there is no file, and answers undefined to leave everything as it is. Updates
 * of the same file happen one after the other, also between processes. Resolves to the text that stands there
 * afterwards. What `change` throws is thrown on, with nothing written.
 */
export async function updatePrivateFile(
  path: string,
  change: (text: string | undefined) => string | undefined,
  options: UpdateOptions = {},
): Promise<string | undefined> {
  const target = await realTarget(path);
  await makePrivateDirectory(dirname(target), options);
  return withFileLock(
    target,
    async (assertHeld) => {
      const before = await readPrivateFile(target);
      const after = change(before);
      if (after === undefined || (after === before && options.isTrial !== true)) return before;
      await assertHeld();
      await replace(target, after, options);
      return after;
    },
    options,
  );
}

/** Makes a directory that only its owner may enter, and those above it, where they are missing. */
export async function makePrivateDirectory(
  path: string,
  { isForServer = false }: UpdateOptions = {},
): Promise<void> {
  try {
    const made = await makeMissingDirectories(path, OWNER_ONLY_DIRECTORY);
    if (isForServer && isRoot()) await giveAway(made);
  } catch (error) {
    throw localFileError('write', path, error);
  }
}

/**
 * Throws `bad-configuration` unless the file at `path` exists and nobody but its owner has access to it. `what` it is
 * called in the message.
 */
export async function assertPrivate(path: string, what = 'key file'): Promise<void> {
  let mode: number;
  try {
    ({ mode } = await stat(path));
  } catch (cause) {
    throw new SealiftError('bad-configuration', `The ${what} ${path} cannot be read.`, { cause });
  }
  if (!HAS_MODES || (mode & GROUP_AND_OTHERS) === 0) return;
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  throw new SealiftError('bad-configuration', `The ${what} ${path} is open to other users (mode ${octal}).`, {
    hint: `Close it with: chmod 600 ${shellWord(path)}`,
  });
}

async function realTarget(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return resolve(path);
    throw localFileError('read', path, error);
  }
}

async function replace(target: string, text: string, options: UpdateOptions): Promise<void> {
  try {
    await putInPlace(target, text, options);
  } catch (error) {
    throw localFileError('write', target, error);
  }
}

async function putInPlace(
  target: string,
  text: string,
  { random = systemRandom, isForServer = false }: UpdateOptions,
): Promise<void> {
  const temporary = temporaryPath(dirname(target), random);
  const handle = await open(temporary, 'wx', OWNER_ONLY_FILE);
  try {
    await fill(handle, text, target, isForServer);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(target));
  // The file stands, whatever others have left beside it.
  await removeAbandoned(dirname(target), target).catch(() => undefined);
}

async function fill(handle: FileHandle, text: string, target: string, isForServer: boolean): Promise<void> {
  try {
    const before = await stat(target).catch(() => undefined);
    // A file that root changes, for a server that runs as somebody else, stays the one of that server, which could not
    // read it otherwise.
    const owner = before ?? (isForServer ? await stat(dirname(target)) : undefined);
    if (isRoot() && owner !== undefined) await handle.chown(owner.uid, owner.gid);
    await handle.writeFile(text);
    if (isForServer && HAS_MODES && before !== undefined) await keepMode(handle, before);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

// What a group may do is for that group: who cannot give the file to it leaves it private, rather than open to another.
async function keepMode(handle: FileHandle, { gid, mode }: Stats): Promise<void> {
  const made = await handle.stat();
  const isSameGroup =
    made.gid === gid ||
    (await handle.chown(made.uid, gid).then(
      () => true,
      () => false,
    ));
  if (isSameGroup) await handle.chmod(mode & 0o777);
}

/** Lets directories that were just made, the lowest first, belong to whom the one above them does. */
async function giveAway(made: readonly string[]): Promise<void> {
  const highest = made.at(-1);
  if (highest === undefined) return;
  const { uid, gid } = await stat(dirname(highest));
  // In this order: below what is still root's nobody can put a link in its place.
  for (const path of made) await lchown(path, uid, gid);
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

async function syncDirectory(path: string): Promise<void> {
  if (!HAS_MODES) return;
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
