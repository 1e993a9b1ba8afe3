import { SealiftError } from '../../errors.ts';
import { writeFully } from '../../write-fully.ts';
import { oldPublications } from '../old-publications.ts';
import type { Entry, Publication, PublishedRecord } from '../store.ts';
import { entryFromStats, statsAt, unlinkIfThere } from './entries.ts';
import { closingFile } from './file-bytes.ts';
import { OPEN, type FileStats } from './file-system.ts';
import { publishTemporary, type Publisher, type TemporaryFile } from './publish.ts';
import { readSmallFile, type StateDirectory } from './state-directory.ts';
import { passOverGone } from './store-errors.ts';

/** What may be the id of a publication: it becomes a file name. */
const ID = /^[A-Za-z0-9_-]{1,128}$/;

/** What stands in the first line of a record: written before the file gets its name. */
interface Intent {
  record: PublishedRecord;
  /** Together with the size these tell the file from any other, also from one that got its inode later. */
  inode: string;
  mtimeNs: string;
  /** The store that published it, from its opening to its end. */
  run: string;
}

/**
 * Remembers publications, so that a commit whose answer was lost can be said again, also after a restart. A
 * record is a file of two lines: what is about to be published, with its inode, and, once it is, its entry. A
 * process that dies in between leaves the first alone, and whether the inode stands under the name tells the
 * rest. Records are not synced: a loss of power may take them, and leave those of files in memory whose bytes it took.
 * So what an earlier run published in memory is unknown, and the client puts the file again.
 */
export class Publications {
  readonly #publisher: Publisher;
  readonly #state: StateDirectory;
  readonly #run: string;

  /** `run` is not that of any earlier store. */
  constructor(publisher: Publisher, state: StateDirectory, run: string) {
    this.#publisher = publisher;
    this.#state = state;
    this.#run = run;
  }

  /** Publishes a temporary file and keeps `record` of it under `id`. Closes the file, also where that fails. */
  async publish(
    temporary: TemporaryFile,
    publication: Publication,
    id: string,
    record: PublishedRecord,
  ): Promise<Entry> {
    if (!ID.test(id)) throw new SealiftError('internal', 'The id of a publication has not the form of one.');
    const { files } = this.#publisher;
    const path = this.#state.published.child(id);
    let entry: Entry;
    try {
      entry = await publishTemporary(this.#publisher, temporary, publication, async () => {
        const { ino, mtimeNs } = await temporary.file.stat();
        // An attempt that failed may have left its own.
        await unlinkIfThere(files, path);
        const intent = { record, inode: String(ino), mtimeNs: String(mtimeNs), run: this.#run };
        await this.#append(path, OPEN.create, intent);
      });
    } catch (error) {
      // A publication that failed half-way must not be taken for one that succeeded.
      await files.unlink(path).catch(() => undefined);
      throw error;
    }
    // It is done, and the first line is enough to know it by: that the second is missing is no failure.
    await this.#append(path, OPEN.update, entry).catch(() => undefined);
    return entry;
  }

  /** What was published with `id`; see `Store.published`. */
  async find(id: string): Promise<PublishedRecord | undefined> {
    if (!ID.test(id)) return undefined;
    const text = await readSmallFile(this.#publisher.files, this.#state.published.child(id), OPEN.read);
    const lines = text?.split('\n').slice(0, -1) ?? [];
    const intent = parseLine<Intent>(lines[0]);
    if (intent === undefined) return undefined;
    if (intent.record.durability === 'memory' && intent.run !== this.#run) return undefined;
    const entry = parseLine<Entry>(lines[1]) ?? (await this.#entryAfterCrash(intent));
    return entry && { ...intent.record, entry };
  }

  /** Removes records by when they were last written; see `Store.forgetPublished`. */
  async forget(beforeMs: number, maxPerOwner = Infinity): Promise<void> {
    const { files } = this.#publisher;
    const { published } = this.#state;
    const records: { id: string; writtenMs: number }[] = [];
    for await (const id of files.names(published.self)) {
      const stats = ID.test(id) ? await statsAt(files, published.child(id)) : undefined;
      if (stats?.isFile() === true) records.push({ id, writtenMs: Number(stats.mtimeNs) / 1e6 });
    }
    for (const id of oldPublications(records, beforeMs, maxPerOwner))
      await unlinkIfThere(files, published.child(id));
  }

  // The process that published died before it could say so, and perhaps before it had synced the directory.
  async #entryAfterCrash(intent: Intent): Promise<Entry | undefined> {
    const { files, tree } = this.#publisher;
    const { path, durability } = intent.record;
    const entry = await tree
      .at(path, async (place) => {
        const stats = await statsAt(files, place.systemPath);
        return stats && isIntended(stats, intent) ? entryFromStats(stats, path) : undefined;
      })
      .catch(passOverGone);
    if (entry !== undefined && durability === 'disk') await tree.syncAbove([path]);
    return entry;
  }

  async #append(path: string, flags: number, value: Intent | Entry): Promise<void> {
    const file = await this.#publisher.files.open(path, flags);
    await closingFile(file, async () => {
      const { size } = await file.stat();
      await writeFully(file.write, Buffer.from(`${JSON.stringify(value)}\n`), Number(size));
    });
  }
}

function isIntended(
  { ino, mtimeNs, size }: FileStats,
  { inode, mtimeNs: intended, record }: Intent,
): boolean {
  return String(ino) === inode && String(mtimeNs) === intended && Number(size) === record.size;
}

// A line that is not whole was being written when the process died: what it says had not happened yet.
function parseLine<T>(line: string | undefined): T | undefined {
  if (line === undefined) return undefined;
  try {
    return JSON.parse(line) as T;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
