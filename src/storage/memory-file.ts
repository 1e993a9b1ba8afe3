import { SealiftError } from '../errors.ts';
import { entryOf, type MemoryNode } from './memory-tree.ts';
import type { Entry, StoredFile } from './store.ts';

/** Opens what stands under `path` for reading. Throws `is-directory`, or `bad-request` for a link. */
export function openMemoryFile(node: MemoryNode, path: string): StoredFile {
  const name = JSON.stringify(path);
  if (node.type === 'directory') throw new SealiftError('is-directory', `${name} is a directory.`);
  if (node.type === 'symlink')
    throw new SealiftError('bad-request', `${name} is a symbolic link, which is never followed.`);
  return new OpenMemoryFile(entryOf(node, path), node.content);
}

class OpenMemoryFile implements StoredFile {
  readonly entry: Entry;
  readonly #content: Buffer;

  constructor(entry: Entry, content: Buffer) {
    this.entry = entry;
    this.#content = content;
  }

  async read(target: Buffer, position: number, length: number): Promise<void> {
    if (this.#content.copy(target, 0, position, position + length) === length) return;
    throw new SealiftError('precondition-failed', `${JSON.stringify(this.entry.path)} has fewer bytes.`);
  }

  async assertUnchanged(): Promise<void> {
    // A content is never changed, only replaced by another.
  }

  async close(): Promise<void> {
    // A content in memory needs no closing.
  }
}
