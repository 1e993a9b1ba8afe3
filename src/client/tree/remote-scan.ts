import { isSealiftError, SealiftError } from '../../errors.ts';
import { isWithin, joinPath } from '../../transfer/remote-path.ts';
import type { Unlisted } from '../../protocol/responses.ts';
import type { Client } from '../client.ts';
import { mapConcurrently } from './concurrency.ts';
import type { TreeEntry } from './tree-entry.ts';

const MAX_ASKED_AT_ONCE = 32;

/**
 * Everything that stands on a server at and below `top`, the top itself first as `""`, in no promised order, page by page.
 * A server that names anything else, or a path twice, is refused: what it says decides what is written here.
 * `onProblem` is told of directories that hold names which no path can say, or at which the server may not look.
 * Throws `not-found`, `forbidden` (without the permission to list) and `protocol-violation`.
 */
export async function* scanRemote(
  client: Client,
  top: string,
  signal?: AbortSignal,
  onProblem?: (error: SealiftError, path: string) => void,
): AsyncGenerator<TreeEntry[]> {
  const found = await client.stat(top, { signal });
  yield [{ ...found, path: '' }];
  if (found.type !== 'directory') return;
  const told = new Set<string>();
  const below = (path: string) =>
    top === '' || path === top ? path.slice(top.length) : path.slice(top.length + 1);
  const onUnlisted = ({ path, count }: Unlisted) => {
    if (isWithin(path, top)) onProblem?.(unlistedNames(path, count), below(path));
  };
  const checked = (path: string): string => {
    if (path === top || !isWithin(path, top) || told.has(path)) {
      throw new SealiftError(
        'protocol-violation',
        `The server listed ${JSON.stringify(path)}, which it was not asked for, or listed it twice.`,
      );
    }
    told.add(path);
    return below(path);
  };
  for await (const page of client.listPages(top, { recursive: true, onUnlisted, signal }))
    yield page.map((entry) => ({ ...entry, path: checked(entry.path) }));
}

function unlistedNames(path: string, count: number): SealiftError {
  const names = count === 1 ? 'a name' : `${count} names`;
  return new SealiftError(
    'bad-name',
    `${JSON.stringify(path)} holds ${names} that no path can say (no UTF-8, a control character, or too long), or at which the server may not look; they cannot be fetched.`,
  );
}

/**
 * Which of the directories at `paths` the server may not read itself, with what it says of that. A listing of more than one
 * directory passes over such, so that they look empty: those that do are asked for by themselves.
 */
export async function* unreadableDirectories(
  client: Client,
  top: string,
  paths: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<{ path: string; error: SealiftError }> {
  const problems = mapConcurrently(paths, MAX_ASKED_AT_ONCE, async (path) => {
    try {
      for await (const _ of client.list(joinPath(top, path), { signal })) break;
    } catch (error) {
      if (isSealiftError(error, 'forbidden')) return { path, error };
      // What has vanished meanwhile is no part of the tree any more.
      if (!isSealiftError(error, 'not-found', 'not-directory')) throw error;
    }
    return undefined;
  });
  for await (const problem of problems) if (problem !== undefined) yield problem;
}
