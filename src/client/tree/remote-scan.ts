import { SealiftError } from '../../errors.ts';
import { isWithin } from '../../transfer/remote-path.ts';
import type { Client } from '../client.ts';
import type { TreeEntry } from './tree-entry.ts';

/**
 * Everything that stands on a server at and below `top`, the top itself first as `""`, in no promised order.
 * A server that names anything else, or a path twice, is refused: what it says decides what is written here.
 * Throws `not-found`, `forbidden` (without the permission to list) and `protocol-violation`.
 */
export async function* scanRemote(
  client: Client,
  top: string,
  signal?: AbortSignal,
): AsyncGenerator<TreeEntry> {
  const options = signal === undefined ? {} : { signal };
  const found = await client.stat(top, options);
  yield { ...found, path: '' };
  if (found.type !== 'directory') return;
  const told = new Set<string>();
  for await (const entry of client.list(top, { recursive: true, ...options })) {
    if (entry.path === top || !isWithin(entry.path, top) || told.has(entry.path)) {
      throw new SealiftError(
        'protocol-violation',
        `The server listed ${JSON.stringify(entry.path)}, which it was not asked for, or listed it twice.`,
      );
    }
    told.add(entry.path);
    yield { ...entry, path: top === '' ? entry.path : entry.path.slice(top.length + 1) };
  }
}
