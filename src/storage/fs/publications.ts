import { SealiftError } from '../../errors.ts';
import type { Entry, Publication, PublishedRecord } from '../store.ts';
import { entryAt, entryFromStats } from './entries.ts';
import { closingFile, writeFully } from './file-bytes.ts';
import { OPEN, type OpenFile } from './file-system.ts';
import { publishTemporary, type Publisher, type TemporaryFile } from './publish.ts';
import { readSmallFile, type StateDirectory } from './state-directory.ts';

/** What stands in the first line of a record: written before the file gets its name. */
interface Intent {
  record: PublishedRecord;
  inode: string;
}

/**
 * Remembers publications, so that a commit whose answer was lost can be said again, also after a restart. A
 * record is a file of two lines: what is about to be published, with its inode, and, once it is, its entry. A
 * process that dies in between leaves the first alone, and whether the inode stands under the name tells the
 * rest. Records are not synced: after a loss of power the commit is unknown, and the client puts the file again.
 */
export class Publications {
  readonly #publisher: Publisher;
  readonly #state: StateDirectory;

  constructor(publisher: Publisher, state: StateDirectory) {
    this.#publisher = publisher;
    this.#state = state;
  }

  /** Publishes a temporary file and keeps `record` of it under `id`. Closes the file, also on failure. */
  async publish(
    temporary: TemporaryFile,
    publication: Publication,
    id: string,
    record: PublishedRecord,
  ): Promise<Entry> {
    const { files } = this.#publisher;
    const path = this.#state.published.child(id);
    const intent: Intent = { record, inode: String((await temporary.file.stat()).ino) };
    try {
      const entry = await publishTemporary(this.#publisher, temporary, publication, async () => {
        await appendLine(await files.open(path, OPEN.create, 0o600), 0, intent);
      });
      const file = await files.open(path, OPEN.update);
      await appendLine(file, Number((await file.stat()).size), entry);
      return entry;
    } catch (error) {
      // A publication that failed half-way must not be taken for one that succeeded.
      await files.unlink(path).catch(() => undefined);
      throw error;
    }
  }

  /** What was published with `id`; see `Store.published`. */
  async find(id: string): Promise<PublishedRecord | undefined> {
    if (!/^[A-Za-z0-9_-]{1,128}$/.test(id)) return undefined;
    const text = await readSmallFile(this.#publisher.files, this.#state.published.child(id), OPEN.read);
    const lines = text?.split('\n').slice(0, -1) ?? [];
    const intent = parseLine<Intent>(lines[0]);
    if (intent === undefined) return undefined;
    const entry = parseLine<Entry>(lines[1]) ?? (await this.#entryAfterCrash(intent));
    return entry && { ...intent.record, entry };
  }

  /** Removes the records that were last written before `beforeMs`. */
  async forget(beforeMs: number): Promise<void> {
    const { files } = this.#publisher;
    const { published } = this.#state;
    for await (const name of files.names(published.self)) {
      const entry = entryFromStats(await files.lstat(published.child(name)), name);
      if (entry !== undefined && entry.mtimeMs < beforeMs) await files.unlink(published.child(name));
    }
  }

  // The process that published died before it could say so, and perhaps before it had synced the directory.
  async #entryAfterCrash({ record, inode }: Intent): Promise<Entry | undefined> {
    const { files, tree } = this.#publisher;
    try {
      return await tree.atMaking(record.path, async (place, syncParents) => {
        if (String((await files.lstat(place.systemPath)).ino) !== inode) return undefined;
        if (record.durability === 'disk') await syncParents();
        return entryAt(files, place, record.path);
      });
    } catch (error) {
      if (error instanceof SealiftError && error.code === 'not-found') return undefined;
      throw error;
    }
  }
}

async function appendLine(file: OpenFile, position: number, value: Intent | Entry): Promise<void> {
  await closingFile(file, () => writeFully(file, Buffer.from(`${JSON.stringify(value)}\n`), position));
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
