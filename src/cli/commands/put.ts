import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';

import type { Command } from 'commander';

import type { BlockSource } from '../../client/block-source.ts';
import type { Connector } from '../../client/connector.ts';
import { freeNames, type Rules } from '../../client/tree/decide.ts';
import type { SkipReason } from '../../client/tree/action.ts';
import type { FileOutcome, SendHooks } from '../../client/tree/direction.ts';
import { EVERYTHING, type TreeFilter } from '../../client/tree/tree-filter.ts';
import { untilSteady } from '../../client/tree/steady.ts';
import type { UploadResult } from '../../client/upload-options.ts';
import { floorMilliseconds } from '../../clock.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { checkPath } from '../../transfer/remote-path.ts';
import { formatAddress } from '../../transport/address.ts';
import { isBegun } from '../begun-tree.ts';
import { copyTreeJob, unlessSame } from '../copy-tree.ts';
import { disposing } from '../disposing.ts';
import { fileJob, runJobs, type Planned, type TransferJob } from '../file-jobs.ts';
import { filterOf, takesFile } from '../filter-settings.ts';
import { addConnectionOptions, addTransferOptions } from '../options.ts';
import { mergedSources } from '../merged-sources.ts';
import { assertOneSource, sourcesAndTarget } from '../places.ts';
import { remotePlace, type RemotePlace } from '../remote-command.ts';
import { resumeKeysOf } from '../resume-keys.ts';
import type { Runner } from '../runner.ts';
import type { RunContext } from '../run-context.ts';
import { setting } from '../settings.ts';
import { standardInput } from '../standard-streams.ts';
import { streamSettings } from '../stream-settings.ts';
import { throttleOf } from '../throttle-setting.ts';
import type { TreePlaces } from '../tree-direction.ts';
import { isDirectory, isRemoteDirectory, localPlace, remoteInto, standing } from '../tree-places.ts';
import { addTreeOptions, onChangeOf, wantsTrees } from '../tree-settings.ts';
import { addUnattendedTransferOptions, unattended } from '../unattended.ts';

/** `sealift put SOURCE... TARGET` */
export function addPut(program: Command, run: Runner): void {
  const command = program
    .command('put')
    .description('send files and trees; run again to go on with what was interrupted')
    .usage('[options] <source...> <target>')
    .argument(
      '<place...>',
      `sources: local files, or - for standard input; last the target: host:path, name:path or sealift://host:port/path; a directory or path/ takes the names of the sources`,
    );
  command.addOption(setting('-r, --recursive', 'whole directories; dir/ means the contents of dir'));
  addUnattendedTransferOptions(addTreeOptions(addTransferOptions(addConnectionOptions(command))));
  run(
    command,
    async (context, operands) => {
      const { sources, target } = sourcesAndTarget(operands[0] as string[]);
      const { server } = remotePlace(target);
      return unattended(
        context,
        'put',
        () => context.connector(server),
        (inner) => put(inner, sources, target),
      );
    },
    { goesOn: (operands) => !(operands[0] as string[]).includes('-') },
  );
}

async function put(context: RunContext, sourceTexts: readonly string[], targetText: string): Promise<number> {
  const target = remotePlace(targetText);
  const sources = await Promise.all(sourceTexts.map((text) => localSource(context, text)));
  const connector = await context.connector(target.server);
  // The contents of a directory go into the target itself.
  const isContents = (source: LocalSource) => source.kind === 'tree' && source.hasTrailingSlash;
  const placesOf = ({ path: local }: { path: string }, remote: string): TreePlaces => {
    return { connector, remote, local, isSending: true };
  };
  const [first] = sources as [LocalSource];
  const isBegunAs = async (path: string) =>
    sources.length === 1 && first.kind === 'tree' && (await isBegun(context, placesOf(first, path)));
  const isInto =
    target.hasTrailingSlash ||
    ((await isRemoteDirectory(context, target)) && !(await isBegunAs(target.path)));
  if (!isInto) assertOneSource(sources, targetText);
  const paths = sources.map((source) =>
    isInto && !isContents(source) ? pathInto(target.path, source, targetText) : target.path,
  );
  const named = paths.filter((_, index) => !isContents(sources[index] as LocalSource));
  const twice = named.find((path, index) => named.indexOf(path) !== index);
  if (twice !== undefined)
    throw new SealiftError('usage', `Two of the sources would become ${JSON.stringify(twice)}.`);
  const merged = mergedSources(context, sources.length, sources.some(isContents));
  const filter = await filterOf(context);
  const jobs = sources.map(async (source, index) => {
    const path = paths[index] ?? '';
    if (source.kind === 'tree') {
      const isNewName = !isInto && !isContents(source);
      return [await copyTreeJob(context, placesOf(source, path), { filter, isNewName, merged })];
    }
    if (source.kind === 'local' && !(await isTaken(context, filter, source.path))) return [];
    const job = await putJob(context, connector, source, { ...target, path });
    return [merged?.file(path, true, job) ?? job];
  });
  return runJobs(context, 'put', connector, { jobs: (await Promise.all(jobs)).flat(), isSending: true });
}

/** Whether the filter takes a file. What cannot be looked at, or is none, is taken, and fails. */
async function isTaken(context: RunContext, filter: TreeFilter, path: string): Promise<boolean> {
  if (filter === EVERYTHING) return true;
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  if (stats?.isFile() !== true) return true;
  const [size, mtimeMs] = [Number(stats.size), floorMilliseconds(stats.mtimeNs)];
  return takesFile(context, filter, { name: basename(resolve(path)), size, mtimeMs });
}

/** What is to be sent: standard input, a file, or, with `--recursive` or `--archive`, a tree. */
type LocalSource =
  | { kind: 'stdio' }
  | { kind: 'local'; path: string }
  | { kind: 'tree'; path: string; hasTrailingSlash: boolean };

async function localSource(context: RunContext, text: string): Promise<LocalSource> {
  if (text === '-') return { kind: 'stdio' };
  const place = localPlace(text, 'target');
  const isTree = wantsTrees(context) && (await isDirectory(place.path));
  return isTree ? { kind: 'tree', ...place } : { kind: 'local', path: place.path };
}

function pathInto(directory: string, source: LocalSource, targetText: string): string {
  if (source.kind === 'stdio')
    throw new SealiftError('usage', 'Standard input has no name: the target has to be a file.', {
      hint: `Give it one: ${targetText}${/[:/]$/.test(targetText) ? '' : '/'}NAME`,
    });
  return remoteInto(directory, source.path);
}

async function putJob(
  context: RunContext,
  connector: Connector,
  source: Exclude<LocalSource, { kind: 'tree' }>,
  target: RemotePlace,
): Promise<TransferJob> {
  checkPath(target.path, { allowRoot: false });
  const name = source.kind === 'stdio' ? target.path : source.path;
  const isChecked = source.kind === 'local' && context.settings['checksum'] === true;
  const isCompared = isChecked && !(await isDirectory(name));
  const bytes = source.kind === 'stdio' ? null : await sizeOf(source.path);
  const job = fileJob(context, { name, target: target.path, bytes }, (hooks) =>
    untilSteady(onChangeOf(context.settings) === 'retry' && source.kind !== 'stdio', async () => {
      const { openFileSource, streamSource } = await import('../../client/block-source.ts');
      const opened =
        source.kind === 'stdio'
          ? streamSource(standardInput())
          : await openFileSource(source.path).catch(hintAtPattern);
      return disposing(opened, () => putFile(context, connector, { opened, source, target }, hooks));
    }),
  );
  if (!isCompared) return job;
  return unlessSame(context, { connector, remote: target.path, local: name, isSending: true }, job);
}

// What is quoted, or matches nothing, comes as it is written.
function hintAtPattern(error: unknown): never {
  if (!isSealiftError(error, 'local-not-found') || !/[*?[]/.test(error.message)) throw error;
  throw new SealiftError('local-not-found', error.message, {
    cause: error,
    hint: 'Patterns are expanded by the shell: write them without quotes. Of a directory: --recursive and --include.',
  });
}

async function sizeOf(path: string): Promise<number | null> {
  return stat(path).then(
    ({ size }) => size,
    () => null,
  );
}

interface PutFile {
  opened: BlockSource;
  source: Exclude<LocalSource, { kind: 'tree' }>;
  target: RemotePlace;
}

async function putFile(
  context: RunContext,
  connector: Connector,
  { opened, source, target }: PutFile,
  hooks: SendHooks,
): Promise<FileOutcome | SkipReason | Planned> {
  const ifExists = context.settings['ifExists'] as Rules['ifExists'];
  if (context.settings['update'] === true && (await isNewerThere(context, target, opened))) return 'newer';
  for (const path of ifExists === 'rename' ? freeNames(target.path) : [target.path]) {
    try {
      // Looked at before anything is sent; the server judges it again, in one step with publication.
      if (ifExists !== 'overwrite') await assertFree(context, { ...target, path });
      if (context.settings['dryRun'] === true) return { plannedBytes: opened.size };
      const { receipt, sentBytes, resumedBytes, retries } = await send(
        context,
        connector,
        { opened, source, target: { ...target, path } },
        hooks,
      );
      return { ...receipt, resumedBytes, retries, movedBytes: sentBytes };
    } catch (error) {
      if (!isSealiftError(error, 'exists')) throw error;
      if (ifExists === 'skip') return 'exists';
      // Also what may be overwritten can be in the way: a FIFO or a device is never replaced.
      if (ifExists !== 'rename') throw error;
    }
  }
  throw new SealiftError('exists', `No free name was found for ${JSON.stringify(target.path)}.`);
}

async function isNewerThere(
  context: RunContext,
  place: RemotePlace,
  { mtimeMs }: BlockSource,
): Promise<boolean> {
  const { mtimeMs: there = -Infinity } = (await standing(context, place)) ?? {};
  return mtimeMs !== undefined && there > mtimeMs;
}

async function assertFree(context: RunContext, place: RemotePlace): Promise<void> {
  if ((await standing(context, place)) === undefined) return;
  throw new SealiftError('exists', `${JSON.stringify(place.path)} exists already.`);
}

async function send(
  context: RunContext,
  connector: Connector,
  { opened, source, target: { path } }: PutFile,
  hooks: SendHooks,
): Promise<UploadResult> {
  const { upload } = await import('../../client/upload.ts');
  const keys = await resumeKeysOf(context);
  const place = formatAddress(connector.options.address);
  return upload(connector, opened, path, {
    ...hooks,
    signal: context.signal,
    retry: context.retryPolicy,
    throttle: throttleOf(context),
    ...streamSettings(context),
    // As cp does it: what is private stays private, what is a program stays one.
    ...(opened.mode === undefined
      ? {}
      : { mode: opened.mode & ~(context.settings['archive'] === true ? 0 : process.umask()) }),
    ...(context.settings['ifExists'] === 'overwrite' ? {} : { if: 'absent' }),
    ...(source.kind === 'stdio'
      ? {}
      : { resume: { keys, name: `${place}\0${path}\0${resolve(source.path)}` } }),
  });
}
