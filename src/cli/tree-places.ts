import { lstat, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { isSealiftError, SealiftError } from '../errors.ts';
import type { StatAnswer } from '../protocol/responses.ts';
import { joinPath } from '../transfer/remote-path.ts';
import { parsePlaceText } from './places.ts';
import { ask, remotePlace, type RemotePlace } from './remote-command.ts';
import type { RunContext } from './run-context.ts';

/** A local place. */
export interface LocalPlace {
  path: string;
  /** `dir/`: the contents of the directory are meant, or, as a target, its inside. */
  hasTrailingSlash: boolean;
}

/** Understands a place that must be on this machine. Throws `usage`. `other` names what is on a server already. */
export function localPlace(text: string, other: string): LocalPlace {
  const place = parsePlaceText(text);
  if (place.kind === 'local')
    return { path: place.path, hasTrailingSlash: /\/$|(^|\/)\.\.?$/.test(place.path) };
  if (place.kind === 'stdio') throw new SealiftError('usage', 'A tree is no stream: - cannot be meant here.');
  throw new SealiftError('usage', `${text} is on a server, and so is the ${other}.`, {
    hint: `A local file of that name is written ./${text}.`,
  });
}

/** What stands, or stood as `version`, on the server under `place`; undefined if nothing does, or if we may not look. */
export async function standing(
  context: RunContext,
  place: RemotePlace & { version?: string | undefined },
): Promise<StatAnswer | undefined> {
  const { path, version } = place;
  try {
    return await ask(context, place, (client) => client.stat(path, { version }));
  } catch (error) {
    // Who may only write cannot look; the target is then taken as it is written.
    if (isSealiftError(error, 'not-found', 'forbidden', 'not-directory')) return undefined;
    throw error;
  }
}

/** Whether a directory stands on the server under `place`. */
export async function isRemoteDirectory(context: RunContext, place: RemotePlace): Promise<boolean> {
  return place.path === '' || (await standing(context, place))?.type === 'directory';
}

/** Whether a local directory stands there, also through a link. */
export async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

/** Whether anything stands under a local name, if only a link to nothing. */
export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** The place of a local file or tree in a directory on a server. */
export function remoteInto(directory: string, local: string): string {
  return joinPath(directory, basename(resolve(local)));
}

/** The two ends of `sync` and `check`, of which one is on a server. */
export type TreeEnds = { remote: RemotePlace; local: string; isSending: boolean };

/**
 * Understands SOURCE and TARGET of commands that make TARGET like SOURCE: the two names stand for each other, so
 * that a second run means the same as the first. Only a target that is written `dir/`, or is the root of a server,
 * takes a source that is not written so into itself; and a source that is a file goes into a directory that stands.
 */
export async function treeEnds(
  context: RunContext,
  sourceText: string,
  targetText: string,
): Promise<TreeEnds> {
  const source = parsePlaceText(sourceText);
  const target = parsePlaceText(targetText);
  if (source.kind === 'remote' && target.kind !== 'remote') {
    const local = localPlace(targetText, 'source');
    if (source.hasTrailingSlash || source.path === '')
      return { remote: source, local: local.path, isSending: false };
    const name = source.path.slice(source.path.lastIndexOf('/') + 1);
    // A source that is gone is no file: what stood for it is the measure then, not something inside that.
    const type = (await isDirectory(local.path)) ? (await standing(context, source))?.type : undefined;
    const isInto = local.hasTrailingSlash || (type !== undefined && type !== 'directory');
    return { remote: source, local: isInto ? join(local.path, name) : local.path, isSending: false };
  }
  const remote = remotePlace(targetText);
  const local = localPlace(sourceText, 'target');
  if (local.hasTrailingSlash) return { remote, local: local.path, isSending: true };
  const isIntoWritten = remote.hasTrailingSlash || remote.path === '';
  const isInto =
    isIntoWritten ||
    (!(await isDirectory(local.path)) &&
      (await exists(local.path)) &&
      (await isRemoteDirectory(context, remote)));
  const path = isInto ? remoteInto(remote.path, local.path) : remote.path;
  return { remote: { ...remote, path }, local: local.path, isSending: true };
}
