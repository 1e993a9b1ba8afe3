import type { Clock } from '../../clock.ts';
import { cannotLink, isSealiftError, SealiftError, systemCode } from '../../errors.ts';
import { writeFully } from '../../write-fully.ts';
import { keptMode } from '../kept-mode.ts';
import type { KeyedMutex } from '../keyed-mutex.ts';
import { checkFileReplacement } from '../replacement.ts';
import type { Entry, Publication, ReplaceOptions } from '../store.ts';
import type { Directory } from './directory.ts';
import { entryAt, replacedAt, unlinkIfThere } from './entries.ts';
import { OPEN, type FileSystem, type OpenFile } from './file-system.ts';
import { otherFileSystem, passOverGone } from './store-errors.ts';
import type { Place, Tree } from './tree.ts';
import type { Versions } from './versions.ts';

/** What publishing works with. */
export interface Publisher {
  files: FileSystem;
  tree: Tree;
  /** One room per remote path: conditions are judged and names changed inside it. */
  names: KeyedMutex;
  clock: Clock;
  /** Keeps what is replaced, if anything is to be kept. */
  versions?: Versions | undefined;
}

/** A file that is whole but has no public name yet. */
export interface TemporaryFile {
  systemPath: string;
  file: OpenFile;
}

/** Publishes a small file whose content is at hand, through the temporary name `systemPath`; what is left there after a failure is the caller's. */
export async function publishContent(
  publisher: Publisher,
  systemPath: string,
  publication: Publication,
  content: Buffer,
): Promise<Entry> {
  return publishTemporary(publisher, await writeTemporary(publisher, systemPath, content), publication);
}

/**
 * As `publishContent` with durability `memory`, for who must not wait for the disk: what takes the place of another file is only
 * made ready, and undefined returned; it is to be synced and then given its name by `publishStaged`. The caller lets nobody else
 * at that path.
 */
export async function publishOrStage(
  publisher: Publisher,
  systemPath: string,
  publication: Publication,
  content: Buffer,
): Promise<Entry | undefined> {
  const { file } = await writeTemporary(publisher, systemPath, content);
  try {
    return await atItsPlace(publisher, publication, async (place) => {
      const existing = await replacedBy(publisher, place, publication);
      await setAttributes(publisher, file, publication, existing);
      await file.close();
      return existing === undefined ? giveName(publisher, systemPath, place, publication) : undefined;
    });
  } finally {
    await file.close();
  }
}

/** Gives a file that was staged at `systemPath`, and is on the disk, its name; what stands there by now is judged again, lastly by `judge`. The caller lets nobody else at that path. */
export async function publishStaged(
  publisher: Publisher,
  systemPath: string,
  publication: Publication,
  judge: (existing: Entry | undefined) => void = () => undefined,
): Promise<Entry> {
  return atItsPlace(publisher, publication, async (place) => {
    const existing = await replacedBy(publisher, place, publication);
    judge(existing);
    return giveName(publisher, systemPath, place, publication, existing);
  });
}

/**
 * Gives a temporary file its name, in the order that loses nothing (hazards: "Publish order"): the way there → attributes →
 * sync → close → version of what is replaced → rename, or link where nothing may stand there → sync of the directory. `beforeNaming` runs once the
 * file is as it will stand. Closes the file, also on failure. Where the sync or the closing fails, the data is removed.
 */
export async function publishTemporary(
  publisher: Publisher,
  temporary: TemporaryFile,
  publication: Publication,
  beforeNaming?: () => Promise<void>,
): Promise<Entry> {
  const { files, names } = publisher;
  const { path, durability } = publication;
  try {
    return await atItsPlace(publisher, publication, (place) =>
      names.run(path, async () => {
        const existing = await replacedBy(publisher, place, publication);
        await setAttributes(publisher, temporary.file, publication, existing);
        // A file that is replaced must not be lost together with its successor, whatever was asked for.
        if (durability === 'disk' || existing !== undefined)
          await orWithoutData(files, temporary, () => temporary.file.sync());
        await beforeNaming?.();
        await orWithoutData(files, temporary, () => temporary.file.close());
        return giveName(publisher, temporary.systemPath, place, publication, existing);
      }),
    );
  } catch (error) {
    await orWithoutData(files, temporary, () => temporary.file.close());
    throw error;
  }
}

/** Throws what is to be answered where something has to stand at `path` and not even its parents do: nothing is made for it then. */
export async function refuseWithoutParents(tree: Tree, path: string, options: ReplaceOptions): Promise<void> {
  if (options.condition.if !== 'match') return;
  try {
    await tree.at(path, () => Promise.resolve());
  } catch (error) {
    if (!isSealiftError(error, 'not-found')) throw error;
    checkFileReplacement(undefined, path, options);
  }
}

/** Throws where a file that is staged in `staging` could not be published at `path`, as far as it shows before its data comes. */
export async function assertPublishable(
  { files, tree }: Pick<Publisher, 'files' | 'tree'>,
  staging: Directory,
  path: string,
): Promise<void> {
  await tree.at(path, (place) => replacedAt(files, place, path, () => undefined)).catch(passOverGone);
  // A mount of the same file system shows only when it is renamed into.
  await tree.insideNearest(path, async (parent) => {
    if ((await parent.device()) !== (await staging.device())) throw otherFileSystem(path);
  });
}

/** Runs `replace`, which puts something else in the place of `existing`. A file is kept before, where versions are. */
export async function replacing(
  { versions }: Pick<Publisher, 'versions'>,
  place: Place,
  existing: Entry | undefined,
  replace: () => Promise<void>,
): Promise<void> {
  if (versions === undefined || existing?.type !== 'file') return replace();
  return versions.replacing(place, existing.path, replace);
}

/**
 * Runs `write`, which brings the data to the disk, and removes the data if it throws. The system says only once that it could not, and keeps what it lost
 * in its memory as if it were written: whoever went on with this data would be told that all is well.
 */
export async function orWithoutData(
  files: FileSystem,
  { systemPath, file }: TemporaryFile,
  write: () => Promise<void>,
): Promise<void> {
  try {
    await write();
  } catch (error) {
    await unlinkIfThere(files, systemPath)
      .catch(() => file.truncate(0))
      .catch(() => undefined);
    throw error;
  }
}

async function writeTemporary(
  { files }: Publisher,
  systemPath: string,
  content: Buffer,
): Promise<TemporaryFile> {
  const file = await files.open(systemPath, OPEN.create, 0o666);
  try {
    await writeFully(file.write, content, 0);
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
  return { systemPath, file };
}

/** Runs `task` with the place where something is to be published, whose parents are made. */
async function atItsPlace<T>(
  { tree }: Publisher,
  publication: Publication,
  task: (place: Place) => Promise<T>,
): Promise<T> {
  const { path, durability } = publication;
  await refuseWithoutParents(tree, path, publication);
  return tree.atMaking(path, { isDurable: durability === 'disk' }, task);
}

/** What stands where something is to be published, once nothing is against replacing it. */
function replacedBy(
  { files }: Publisher,
  place: Place,
  publication: Publication,
): Promise<Entry | undefined> {
  const { path } = publication;
  return replacedAt(files, place, path, (found) => checkFileReplacement(found, path, publication));
}

/** Gives a file that is as it will stand its name, in the place of `existing`. */
async function giveName(
  publisher: Publisher,
  systemPath: string,
  place: Place,
  { path, condition, durability }: Publication,
  existing?: Entry,
): Promise<Entry> {
  const { files } = publisher;
  if (condition.if === 'absent') await linkNew(files, systemPath, place, path);
  else await replacing(publisher, place, existing, () => files.rename(systemPath, place.systemPath));
  if (durability === 'disk') await place.directory.sync();
  return publishedEntry(files, place, path);
}

async function setAttributes(
  { clock }: Publisher,
  file: OpenFile,
  { mode, mtimeMs }: Publication,
  existing: Entry | undefined,
): Promise<void> {
  // As cp and scp do it: what replaces a file without saying how takes over its permission bits.
  const bits = mode ?? (existing?.type === 'file' ? existing.mode : undefined);
  if (bits !== undefined) await file.chmod(keptMode('file', bits));
  if (mtimeMs !== undefined) await file.setTimes(clock.now(), mtimeMs);
}

// A link fails where a name stands, also one that another program made a moment ago; a rename would replace it.
async function linkNew(files: FileSystem, temporaryPath: string, place: Place, path: string): Promise<void> {
  try {
    await files.link(temporaryPath, place.systemPath);
  } catch (error) {
    if (systemCode(error) === 'EEXIST')
      throw new SealiftError('exists', `${JSON.stringify(path)} exists already.`, { cause: error });
    // The room of the path still keeps our own apart.
    if (!cannotLink(error)) throw error;
    await files.rename(temporaryPath, place.systemPath);
    return;
  }
  // The file stands. Its other name, where it cannot be taken away, is found by `uploads`, and never written to.
  await files.unlink(temporaryPath).catch(() => undefined);
}

async function publishedEntry(files: FileSystem, place: Place, path: string): Promise<Entry> {
  const entry = await entryAt(files, place, path);
  if (entry === undefined)
    throw new SealiftError('not-found', `${JSON.stringify(path)} was removed as soon as it stood.`);
  return entry;
}
