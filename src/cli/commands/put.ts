import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import type { Command } from 'commander';

import type { BlockSource } from '../../client/block-source.ts';
import type { Connector } from '../../client/connector.ts';
import type { UploadResult } from '../../client/upload.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import type { StatAnswer } from '../../protocol/responses.ts';
import { checkPath, joinPath } from '../../transfer/remote-path.ts';
import { formatAddress } from '../../transport/address.ts';
import { runFileJobs, type FileJob, type FileOutcome } from '../file-jobs.ts';
import { disposing } from '../disposing.ts';
import { freeNames, type IfExists } from '../if-exists.ts';
import { addConnectionOptions, addTransferOptions } from '../options.ts';
import { parsePlaceText, sourcesAndTarget, type PlaceText } from '../places.ts';
import { ask, remotePlace, type RemotePlace } from '../remote-command.ts';
import type { Runner } from '../runner.ts';
import type { RunContext } from '../run-context.ts';
import { throttleOf } from '../throttle-setting.ts';

/** `sealift put SOURCE... TARGET` */
export function addPut(program: Command, run: Runner): void {
  const command = program
    .command('put')
    .description('send files; run again to go on with what was interrupted')
    .usage('[options] <source...> <target>')
    .argument(
      '<place...>',
      `sources: local files, or - for standard input; last the target: host:path, name:path or sealift://host:port/path; a directory or path/ takes the names of the sources`,
    );
  addTransferOptions(addConnectionOptions(command));
  run(command, async (context, operands) => {
    const { sources, target } = sourcesAndTarget(operands[0] as string[]);
    return put(context, sources, target);
  });
}

async function put(context: RunContext, sourceTexts: readonly string[], targetText: string): Promise<number> {
  const target = remotePlace(targetText);
  const sources = sourceTexts.map((text) => localSource(text));
  const connector = await context.connector(target.server);
  const isInto =
    sources.length > 1 ||
    target.hasTrailingSlash ||
    target.path === '' ||
    (await standing(context, target))?.type === 'directory';
  const paths = sources.map((source) => (isInto ? pathInto(target.path, source) : target.path));
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined)
    throw new SealiftError('usage', `Two of the sources would become ${JSON.stringify(twice)}.`);
  const jobs = sources.map((source, index) =>
    putJob(context, connector, source, { ...target, path: paths[index] ?? '' }),
  );
  return runFileJobs(context, 'put', connector, await Promise.all(jobs));
}

type LocalSource = Extract<PlaceText, { kind: 'local' | 'stdio' }>;

function localSource(text: string): LocalSource {
  const place = parsePlaceText(text);
  if (place.kind !== 'remote') return place;
  throw new SealiftError('usage', `${text} is on a server, and so is the target.`, {
    hint: `A local file of that name is written ./${text}.`,
  });
}

function pathInto(directory: string, source: LocalSource): string {
  if (source.kind === 'stdio')
    throw new SealiftError('usage', 'Standard input has no name: the target has to be a file.');
  return joinPath(directory, basename(resolve(source.path)));
}

/** What stands on the server under the target of `place`; undefined if nothing does, or if we may not look. */
async function standing(context: RunContext, place: RemotePlace): Promise<StatAnswer | undefined> {
  try {
    return await ask(context, place, (client) => client.stat(place.path));
  } catch (error) {
    // Who may only write cannot look; the target is then taken as it is written.
    if (isSealiftError(error, 'not-found', 'forbidden', 'not-directory')) return undefined;
    throw error;
  }
}

async function putJob(
  context: RunContext,
  connector: Connector,
  source: LocalSource,
  target: RemotePlace,
): Promise<FileJob> {
  checkPath(target.path, { allowRoot: false });
  return {
    name: source.kind === 'stdio' ? target.path : source.path,
    size: source.kind === 'stdio' ? null : await sizeOf(source.path),
    run: async (hooks) => {
      const { openFileSource, streamSource } = await import('../../client/block-source.ts');
      const opened =
        source.kind === 'stdio' ? streamSource(process.stdin) : await openFileSource(source.path);
      return disposing(opened, () => putFile(context, connector, { opened, source, target }, hooks));
    },
  };
}

async function sizeOf(path: string): Promise<number | null> {
  return stat(path).then(
    ({ size }) => size,
    () => null,
  );
}

interface PutFile {
  opened: BlockSource;
  source: LocalSource;
  target: RemotePlace;
}

async function putFile(
  context: RunContext,
  connector: Connector,
  { opened, source, target }: PutFile,
  hooks: Parameters<FileJob['run']>[0],
): Promise<FileOutcome | null> {
  const ifExists = context.settings['ifExists'] as IfExists;
  for (const path of ifExists === 'rename' ? freeNames(target.path) : [target.path]) {
    try {
      // Looked at before anything is sent; the server judges it again, in one step with publication.
      if (ifExists !== 'overwrite') await assertFree(context, { ...target, path });
      const { receipt, sentBytes, ...rest } = await send(
        context,
        connector,
        { opened, source, target: { ...target, path } },
        hooks,
      );
      return { ...receipt, ...rest, movedBytes: sentBytes };
    } catch (error) {
      if (!isSealiftError(error, 'exists') || ifExists === 'fail') throw error;
      if (ifExists === 'skip') return null;
    }
  }
  throw new SealiftError('exists', `No free name was found for ${JSON.stringify(target.path)}.`);
}

async function assertFree(context: RunContext, place: RemotePlace): Promise<void> {
  if ((await standing(context, place)) === undefined) return;
  throw new SealiftError('exists', `${JSON.stringify(place.path)} exists already.`);
}

async function send(
  context: RunContext,
  connector: Connector,
  { opened, source, target: { path } }: PutFile,
  hooks: Parameters<FileJob['run']>[0],
): Promise<UploadResult> {
  const { upload } = await import('../../client/upload.ts');
  const { ResumeKeys } = await import('../../client/resume-keys.ts');
  const keys = new ResumeKeys(join(context.directories.state, 'resume'));
  const place = formatAddress(connector.options.address);
  return upload(connector, opened, path, {
    ...hooks,
    signal: context.signal,
    retry: context.retryPolicy,
    throttle: throttleOf(context),
    // As cp does it: what is private stays private, what is a program stays one.
    ...(opened.mode === undefined ? {} : { mode: opened.mode & ~process.umask() }),
    ...(context.settings['ifExists'] === 'overwrite' ? {} : { if: 'absent' }),
    ...(source.kind === 'stdio'
      ? {}
      : { resume: { keys, name: `${place}\0${path}\0${resolve(source.path)}` } }),
  });
}
