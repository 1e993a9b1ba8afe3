import { readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { Command } from 'commander';

import type { Connector } from '../../client/connector.ts';
import type { DownloadResult } from '../../client/download.ts';
import type { SkipReason } from '../../client/tree/action.ts';
import { freeNames, type Rules } from '../../client/tree/decide.ts';
import type { FileOutcome, SendHooks } from '../../client/tree/direction.ts';
import { EVERYTHING, type TreeFilter } from '../../client/tree/tree-filter.ts';
import { floorMilliseconds } from '../../clock.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { baseName } from '../../transfer/remote-path.ts';
import { formatAddress } from '../../transport/address.ts';
import { isBegun } from '../begun-tree.ts';
import { copyTreeJob, unlessSame } from '../copy-tree.ts';
import { disposing } from '../disposing.ts';
import { fileJob, runJobs, type Planned, type TransferJob } from '../file-jobs.ts';
import { filterOf, takesFile } from '../filter-settings.ts';
import { addConnectionOptions, addTransferOptions } from '../options.ts';
import { mergedSources } from '../merged-sources.ts';
import { assertOneSource, parsePlaceText, sourcesAndTarget } from '../places.ts';
import { assertNoPattern, remotePlace, withPortHint, type RemotePlace } from '../remote-command.ts';
import type { Runner } from '../runner.ts';
import type { RunContext } from '../run-context.ts';
import { setting } from '../settings.ts';
import { standardOutput } from '../standard-streams.ts';
import { streamSettings } from '../stream-settings.ts';
import { throttleOf } from '../throttle-setting.ts';
import type { TreePlaces } from '../tree-direction.ts';
import { exists, isDirectory, isRemoteDirectory, standing } from '../tree-places.ts';
import { addTreeOptions, wantsTrees } from '../tree-settings.ts';
import { addUnattendedTransferOptions, unattended } from '../unattended.ts';
import { chosenVersion, hintAtKeeping, versionOption } from '../versions.ts';

/** `sealift get SOURCE... TARGET` */
export function addGet(program: Command, run: Runner): void {
  const command = program
    .command('get')
    .description('fetch files and trees; run again to go on with what was interrupted')
    .usage('[options] <source...> <target>')
    .argument(
      '<place...>',
      `sources: host:path, name:path or sealift://host:port/path; last the target: a local file or directory, or - for standard output`,
    )
    .addOption(setting('-r, --recursive', 'whole directories; dir/ means the contents of dir'))
    .addOption(versionOption());
  addUnattendedTransferOptions(addTreeOptions(addTransferOptions(addConnectionOptions(command))));
  run(
    command,
    async (context, operands) => {
      const { sources, target } = sourcesAndTarget(operands[0] as string[]);
      const { server } = remotePlace(sources[0]);
      return unattended(
        context,
        'get',
        () => context.connector(server),
        (inner) => get(inner, sources, target),
      );
    },
    {
      dataOnStdout: (operands) => (operands[0] as string[]).at(-1) === '-',
      goesOn: (operands) => (operands[0] as string[]).at(-1) !== '-',
    },
  );
}

async function get(context: RunContext, sourceTexts: readonly string[], targetText: string): Promise<number> {
  const target = parsePlaceText(targetText);
  if (target.kind === 'remote') {
    throw new SealiftError('usage', `${targetText} is on a server, and so is the source.`, {
      hint: `A local file of that name is written ./${targetText}.`,
    });
  }
  const version = chosenVersion(context.settings, { sources: sourceTexts, isTree: wantsTrees(context) });
  const sources = sourceTexts.map((text) => ({ ...remoteSource(context, text), version }));
  const connectors = await Promise.all(sources.map(({ server }) => context.connector(server)));
  const connector = connectors[0] as Connector;
  if (connectors.some((each) => each !== connector))
    throw new SealiftError('usage', 'All sources of one get have to be on one server.');
  if (version === undefined) for (const source of sources) await assertNoPattern(context, source);
  const filter = await filterOf(context);
  const jobs =
    target.kind === 'stdio'
      ? await stdoutJobs(context, connector, { sources, filter })
      : await localJobs(context, connector, { sources, target: target.path, filter });
  return runJobs(context, 'get', connector, { jobs, isSending: false });
}

/** What is fetched: what stands at a place, or a version of it. */
interface Source extends RemotePlace {
  version: string | undefined;
}

function remoteSource(context: RunContext, text: string): RemotePlace {
  const place = remotePlace(text);
  if (wantsTrees(context) || (place.path !== '' && !place.hasTrailingSlash)) return place;
  throw new SealiftError('usage', `${text} is a directory.`, {
    hint: 'To fetch it with all in it: --recursive or --archive.',
  });
}

async function localJobs(
  context: RunContext,
  connector: Connector,
  { sources, target, filter }: { sources: readonly Source[]; target: string; filter: TreeFilter },
): Promise<TransferJob[]> {
  const placesOf = ({ path: remote }: Source, local: string): TreePlaces => {
    return { connector, remote, local, isSending: false };
  };
  const [first] = sources as [Source];
  const isBegunAs = async (path: string) =>
    sources.length === 1 && wantsTrees(context) && (await isBegun(context, placesOf(first, path)));
  const isInto = target.endsWith('/') || ((await isDirectory(target)) && !(await isBegunAs(target)));
  if (!isInto) assertOneSource(sources, target);
  // The contents of a directory go into the target itself.
  const isContents = ({ path, hasTrailingSlash }: RemotePlace) => hasTrailingSlash || path === '';
  const names = sources.filter((source) => !isContents(source)).map(({ path }) => baseName(path));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new SealiftError('usage', `Two of the sources would become ${JSON.stringify(twice)}.`);
  const merged = mergedSources(context, sources.length, sources.some(isContents));
  const jobs = sources.map(async (source) => {
    const isIn = isInto && !isContents(source);
    const local = isIn ? join(target, baseName(source.path)) : target;
    const places = placesOf(source, local);
    if (wantsTrees(context) && (await isRemoteDirectory(context, source))) {
      const isNewName = !isInto && !isContents(source);
      const job = await copyTreeJob(context, places, { filter, isNewName, merged });
      return [await notThroughNewLink(local, job)];
    }
    if (!(await isTaken(context, source, filter))) return [];
    const job = await notThroughNewLink(local, await localJob(context, connector, { source, places }));
    return [merged?.file(local, false, job) ?? job];
  });
  return (await Promise.all(jobs)).flat();
}

/** Whether the filter takes a file. What cannot be looked at, or is none, is taken, and fails. */
async function isTaken(context: RunContext, source: Source, filter: TreeFilter): Promise<boolean> {
  if (filter === EVERYTHING) return true;
  const stats = await standing(context, source);
  if (stats?.type !== 'file') return true;
  const { size, mtimeMs } = stats;
  return takesFile(context, filter, { name: baseName(source.path), size, mtimeMs });
}

async function localJob(
  context: RunContext,
  connector: Connector,
  { source, places }: { source: Source; places: TreePlaces },
): Promise<TransferJob> {
  const { local } = places;
  const isChecked = context.settings['checksum'] === true;
  const isCompared = isChecked && !(await isRemoteDirectory(context, source));
  const job = fileJob(context, { name: local, target: local, bytes: null }, (hooks) =>
    getFile(context, connector, { ...source, target: local }, hooks).catch(async (error: unknown) => {
      // The directory of that name here is met first, and no reason.
      const isTree = isSealiftError(error, 'local-exists') && (await isDirectory(local));
      hintAtTrees(
        isTree && (await isRemoteDirectory(context, source))
          ? isADirectory(source)
          : await withPortHint(context, source, error),
      );
    }),
  );
  return isCompared ? unlessSame(context, places, job) : job;
}

/**
 * Refuses a job whose target has become a link, or another one, since the run began: another source brought it, and it
 * leads wherever its server wants (as in CVE-2019-6111 of scp). A link that stood there is the user's own.
 */
async function notThroughNewLink(target: string, job: TransferJob): Promise<TransferJob> {
  const before = await linkTarget(target);
  const run: TransferJob['run'] = async (tally, display) => {
    const now = await linkTarget(target);
    if (now !== undefined && now !== before)
      throw new SealiftError('local-exists', `${target} became a link in this run, and is not followed.`, {
        hint: 'Fetch that source by itself, or into a directory of its own.',
      });
    await job.run(tally, display);
  };
  return { ...job, run };
}

function linkTarget(path: string): Promise<string | undefined> {
  return readlink(path).catch(() => undefined);
}

function isADirectory({ path }: Pick<Source, 'path'>): SealiftError {
  return new SealiftError('is-directory', `${JSON.stringify(path)} is a directory.`);
}

function hintAtTrees(error: unknown): never {
  if (!isSealiftError(error, 'is-directory')) return hintAtKeeping(error);
  throw new SealiftError('usage', error.message, {
    cause: error,
    hint: 'To fetch it with all in it: --recursive or --archive.',
  });
}

async function stdoutJobs(
  context: RunContext,
  connector: Connector,
  { sources, filter }: { sources: readonly Source[]; filter: TreeFilter },
): Promise<TransferJob[]> {
  const areTaken = await Promise.all(sources.map((source) => isTaken(context, source, filter)));
  return sources.filter((_, index) => areTaken[index]).map((source) => stdoutJob(context, connector, source));
}

function stdoutJob(context: RunContext, connector: Connector, source: Source): TransferJob {
  const { path, version } = source;
  return fileJob(context, { name: path, target: path, bytes: null }, async (hooks) => {
    if (context.settings['dryRun'] === true) return planned(context, connector, source);
    const { download } = await import('../../client/download.ts');
    const { streamSink } = await import('../../client/block-sink.ts');
    const sink = streamSink(standardOutput());
    const options = { ...downloadOptions(context, hooks), version };
    return outcomeOf(path, await download(connector, path, sink, options).catch(hintAtKeeping));
  });
}

async function getFile(
  context: RunContext,
  connector: Connector,
  { target, ...source }: Source & { target: string },
  hooks: SendHooks,
): Promise<FileOutcome | SkipReason | Planned> {
  const { download } = await import('../../client/download.ts');
  const { fileSink } = await import('../../client/block-sink.ts');
  const { PartialFile } = await import('../../client/partial-file.ts');
  const { path, version } = source;
  const ifExists = context.settings['ifExists'] as Rules['ifExists'];
  const chosen = await chooseTarget(target, ifExists);
  if (chosen === undefined) return 'exists';
  if (context.settings['update'] === true && (await isNewerHere(context, connector, source, chosen)))
    return 'newer';
  if (context.settings['dryRun'] === true) return planned(context, connector, source);
  const partial = await PartialFile.open(chosen, remoteName(connector, source));
  return disposing(partial, async () => {
    const options = { ...downloadOptions(context, hooks), version };
    const result = await download(connector, path, fileSink(partial), options);
    try {
      await partial.complete({
        size: result.size,
        mtimeMs: result.mtimeMs,
        mode: result.mode,
        keepsMode: context.settings['archive'] === true,
        mustBeNew: ifExists !== 'overwrite',
      });
    } catch (error) {
      if (ifExists === 'overwrite' || !isSealiftError(error, 'local-exists')) throw error;
      // It will not get this name: what was fetched would only lie there.
      await partial.discard();
      if (ifExists === 'skip') return 'exists';
      throw error;
    }
    return outcomeOf(chosen, result);
  });
}

// What an earlier run left of one version is of no use for another, nor for what stands now.
function remoteName(connector: Connector, { path, version }: Source): string {
  const name = `${formatAddress(connector.options.address)}/${path}`;
  return version === undefined ? name : `${name}\0${version}`;
}

async function planned(
  { signal }: RunContext,
  connector: Connector,
  { path, version }: Source,
): Promise<Planned> {
  const { type, size } = await (await connector.use(signal)).stat(path, { version, signal });
  if (type === 'directory') throw isADirectory({ path });
  return { plannedBytes: size };
}

function outcomeOf(
  path: string,
  { receivedBytes, mtimeMs: _mtime, mode: _mode, ...result }: DownloadResult,
): FileOutcome {
  return { ...result, path, movedBytes: receivedBytes };
}

async function isNewerHere(
  { signal }: RunContext,
  connector: Connector,
  { path, version }: Source,
  target: string,
): Promise<boolean> {
  const here = await stat(target, { bigint: true }).catch(() => undefined);
  if (here === undefined) return false;
  const there = await (await connector.use(signal)).stat(path, { version, signal });
  return floorMilliseconds(here.mtimeNs) > there.mtimeMs;
}

/** Where the file goes; undefined if it is to be left out. Judged again when it is complete. */
async function chooseTarget(target: string, ifExists: Rules['ifExists']): Promise<string | undefined> {
  if (ifExists === 'overwrite' || !(await exists(target))) return target;
  if (ifExists === 'skip') return undefined;
  if (ifExists === 'fail') throw new SealiftError('local-exists', `${target} exists already.`);
  for (const candidate of freeNames(target)) if (!(await exists(candidate))) return candidate;
  throw new SealiftError('local-exists', `No free name was found for ${target}.`);
}

function downloadOptions(context: RunContext, hooks: SendHooks) {
  return {
    ...hooks,
    ...streamSettings(context),
    signal: context.signal,
    retry: context.retryPolicy,
    throttle: throttleOf(context),
  };
}
