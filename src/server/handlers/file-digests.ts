import { throwIfAborted } from '../../clock.ts';
import { CONTENT_TYPE } from '../../protocol/header.ts';
import { MAX_DIGESTED_FILE_BYTES } from '../../protocol/limits.ts';
import { readPaths } from '../../protocol/requests.ts';
import { pathProblem } from '../../transfer/remote-path.ts';
import { isGranted } from '../authorization.ts';
import type { Answer, Exchange, SessionState } from '../exchange.ts';
import { digestOf } from '../file-digests.ts';

/** Files that a request works on at once. */
const FILES_AT_ONCE = 16;

/**
 * `file-digests`: the file digests of many small files, from their data as it is now. Of a file that is none of those
 * nothing is told, whatever the reason: who asks for it by itself learns that.
 */
export async function fileDigests({ content, state, signal }: Exchange<'file-digests'>): Promise<Answer> {
  const paths = readPaths(content);
  const { prefixes } = state.grant;
  const outside = paths.find((path) => isFilePath(path) && !isGranted(path, prefixes));
  if (outside !== undefined) state.onDigestRefused(outside);
  const digests: (string | null)[] = [];
  for (let from = 0; from < paths.length; from += FILES_AT_ONCE) {
    const some = paths.slice(from, from + FILES_AT_ONCE);
    const giveRoom = await state.digestedFiles.take(some.length, signal);
    try {
      digests.push(...(await Promise.all(some.map((path) => digestAt(path, state, signal)))));
    } finally {
      giveRoom();
    }
    throwIfAborted(signal);
  }
  for (const [index, digest] of digests.entries())
    if (digest !== null) state.onDigestTold(paths[index] as string, digest);
  return { content: Buffer.from(JSON.stringify({ digests })), contentType: CONTENT_TYPE.json };
}

async function digestAt(path: string, state: SessionState, signal: AbortSignal): Promise<string | null> {
  const { store, algorithm, grant } = state;
  if (!isFilePath(path) || !isGranted(path, grant.prefixes)) return null;
  try {
    return (await store.digest?.(path, algorithm)) ?? (await digestFromData(path, state, signal));
  } catch {
    // Also what nobody should throw: else one file would fail all those beside it.
    return null;
  }
}

function isFilePath(text: string): boolean {
  return text !== '' && pathProblem(text) === undefined;
}

async function digestFromData(
  path: string,
  { store, algorithm, owner }: SessionState,
  signal: AbortSignal,
): Promise<string | null> {
  const file = await store.open(path);
  try {
    if (file.entry.size > MAX_DIGESTED_FILE_BYTES) return null;
    return await digestOf(file, algorithm, { owner, signal });
  } finally {
    await file.close();
  }
}
