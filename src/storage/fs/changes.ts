import { keptMode } from '../kept-mode.ts';
import { checkFileReplacement } from '../replacement.ts';
import { assertStillSame } from '../same-node.ts';
import type { Attributes, Entry, ReplaceOptions, SetOptions } from '../store.ts';
import { existingAt, inTheWayOfDirectory, replacedAt } from './entries.ts';
import { closingFile } from './file-bytes.ts';
import { OPEN } from './file-system.ts';
import { refuseWithoutParents, type Publisher } from './publish.ts';
import type { Place } from './tree.ts';

/** As `Store.mkdir`, below the root. */
export async function makeDirectory(
  publisher: Publisher,
  path: string,
  attributes: Attributes,
): Promise<Entry | undefined> {
  const { files, tree, names } = publisher;
  return tree.atMaking(path, { isDurable: false }, (place) =>
    names.run(path, async () => {
      const mode = keptMode('directory', attributes.mode ?? 0o777);
      const { directory, made } = await place.directory
        .enterOrMake(place.name, mode, tree.directoryMadeIn)
        .catch(async (error: unknown) => {
          throw await inTheWayOfDirectory(files, place, path, error);
        });
      await directory.close();
      if (!made) return undefined;
      await setAt(publisher, place, path, attributes);
      return existingAt(files, place, path);
    }),
  );
}

/** As `Store.set`. */
export async function setAttributes(
  publisher: Publisher,
  path: string,
  attributes: Attributes,
  options: SetOptions = {},
): Promise<void> {
  const { tree, names } = publisher;
  await tree.atChanging(path, (place) =>
    names.run(path, () => setAt(publisher, place, path, attributes, options)),
  );
}

/** As `Store.symlink`; `replace` is called where something stands that may be replaced. */
export async function makeLink(
  { files, tree, names }: Publisher,
  path: string,
  target: string,
  { replace, ...options }: ReplaceOptions & { replace: (place: Place, existing: Entry) => Promise<void> },
): Promise<Entry> {
  await refuseWithoutParents(tree, path, options);
  return tree.atMaking(path, { isDurable: false }, (place) =>
    names.run(path, async () => {
      const existing = await replacedAt(files, place, path, (found) =>
        checkFileReplacement(found, path, options),
      );
      if (existing === undefined) await files.symlink(target, place.systemPath);
      else await replace(place, existing);
      return existingAt(files, place, path);
    }),
  );
}

/** As `Store.remove`, of one name, of which nothing is kept. `judge` may throw what is against it. */
export async function removeOne(
  { files, tree, names }: Publisher,
  path: string,
  judge: (existing: Entry) => void = () => undefined,
): Promise<void> {
  await tree.atChanging(path, (place) =>
    names.run(path, async () => {
      const existing = await existingAt(files, place, path);
      judge(existing);
      if (existing.type === 'directory') await files.rmdir(place.systemPath);
      else await files.unlink(place.systemPath);
    }),
  );
}

async function setAt(
  { files, clock }: Publisher,
  place: Place,
  path: string,
  { mode, mtimeMs }: Attributes,
  { made }: SetOptions = {},
): Promise<void> {
  const entry = await existingAt(files, place, path);
  assertStillSame(entry, made);
  if (mode !== undefined && entry.type !== 'symlink') {
    const file = await files.open(place.systemPath, OPEN.attributes);
    await closingFile(file, () => file.chmod(keptMode(entry.type, mode)));
  }
  if (mtimeMs !== undefined) await files.setTimes(place.systemPath, clock.now(), mtimeMs);
}
