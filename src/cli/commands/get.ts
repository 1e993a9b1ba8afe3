import { lstat, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { Command } from 'commander';

import type { Connector } from '../../client/connector.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { baseName } from '../../transfer/remote-path.ts';
import { formatAddress } from '../../transport/address.ts';
import { runFileJobs, type FileJob, type FileOutcome } from '../file-jobs.ts';
import { disposing } from '../disposing.ts';
import { freeNames, type IfExists } from '../if-exists.ts';
import { addConnectionOptions, addTransferOptions } from '../options.ts';
import { parsePlaceText, sourcesAndTarget, type PlaceText } from '../places.ts';
import type { Runner } from '../runner.ts';
import type { RunContext } from '../run-context.ts';
import { throttleOf } from '../throttle-setting.ts';

/** `sealift get SOURCE... TARGET` */
export function addGet(program: Command, run: Runner): void {
  const command = program
    .command('get')
    .description('fetch files; run again to go on with what was interrupted')
    .usage('[options] <source...> <target>')
    .argument(
      '<place...>',
      `sources: host:path, name:path or sealift://host:port/path; last the target: a local file or directory, or - for standard output`,
    );
  addTransferOptions(addConnectionOptions(command));
  run(
    command,
    async (context, operands) => {
      const { sources, target } = sourcesAndTarget(operands[0] as string[]);
      return get(context, sources, target);
    },
    { dataOnStdout: (operands) => (operands[0] as string[]).at(-1) === '-' },
  );
}

type RemotePlace = Extract<PlaceText, { kind: 'remote' }>;

async function get(context: RunContext, sourceTexts: readonly string[], targetText: string): Promise<number> {
  const target = parsePlaceText(targetText);
  if (target.kind === 'remote') {
    throw new SealiftError('usage', `${targetText} is on a server, and so is the source.`, {
      hint: `A local file of that name is written ./${targetText}.`,
    });
  }
  const sources = sourceTexts.map(remoteFile);
  const connectors = await Promise.all(sources.map(({ server }) => context.connector(server)));
  const connector = connectors[0] as Connector;
  if (connectors.some((each) => each !== connector))
    throw new SealiftError('usage', 'All sources of one get have to be on one server.');
  const names = sources.map(({ path }) => baseName(path));
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined && target.kind === 'local')
    throw new SealiftError('usage', `Two of the sources would become ${JSON.stringify(twice)}.`);
  if (target.kind === 'stdio')
    return runFileJobs(
      context,
      'get',
      connector,
      sources.map((source) => stdoutJob(context, connector, source.path)),
    );
  const isInto = sources.length > 1 || target.path.endsWith('/') || (await isDirectory(target.path));
  if (
    sources.length > 1 &&
    !target.path.endsWith('/') &&
    !(await isDirectory(target.path)) &&
    (await exists(target.path))
  ) {
    throw new SealiftError('usage', `${target.path} is no directory, and several files are to go there.`);
  }
  const jobs = sources.map(({ path }) =>
    fileJob(context, connector, path, isInto ? join(target.path, baseName(path)) : target.path),
  );
  return runFileJobs(context, 'get', connector, jobs);
}

function remoteFile(text: string): RemotePlace {
  const place = parsePlaceText(text);
  if (place.kind !== 'remote') {
    throw new SealiftError('usage', `${text} is no place on a server.`, {
      hint: 'Write the source as host:path, or name:path with a saved remote.',
    });
  }
  if (place.path === '' || place.hasTrailingSlash) {
    throw new SealiftError('usage', `${text} is a directory.`, {
      hint: 'Name the files in it: whole directories cannot be fetched yet.',
    });
  }
  return place;
}

function stdoutJob(context: RunContext, connector: Connector, path: string): FileJob {
  return {
    name: path,
    size: null,
    run: async (hooks) => {
      const { download } = await import('../../client/download.ts');
      const { streamSink } = await import('../../client/block-sink.ts');
      const { receivedBytes, ...rest } = await download(
        connector,
        path,
        streamSink(process.stdout),
        downloadOptions(context, hooks),
      );
      return { ...rest, movedBytes: receivedBytes };
    },
  };
}

function fileJob(context: RunContext, connector: Connector, path: string, target: string): FileJob {
  return { name: target, size: null, run: (hooks) => getFile(context, connector, { path, target }, hooks) };
}

async function getFile(
  context: RunContext,
  connector: Connector,
  { path, target }: { path: string; target: string },
  hooks: Parameters<FileJob['run']>[0],
): Promise<FileOutcome | null> {
  const { download } = await import('../../client/download.ts');
  const { fileSink } = await import('../../client/block-sink.ts');
  const { PartialFile } = await import('../../client/partial-file.ts');
  const ifExists = context.settings['ifExists'] as IfExists;
  const chosen = await chooseTarget(target, ifExists);
  if (chosen === undefined) return null;
  const partial = await PartialFile.open(chosen, `${formatAddress(connector.options.address)}/${path}`);
  return disposing(partial, async () => {
    const { receivedBytes, ...result } = await download(
      connector,
      path,
      fileSink(partial),
      downloadOptions(context, hooks),
    );
    try {
      await partial.complete({
        size: result.size,
        mtimeMs: result.mtimeMs,
        mode: result.mode,
        mustBeNew: ifExists !== 'overwrite',
      });
    } catch (error) {
      if (ifExists === 'skip' && isSealiftError(error, 'local-exists')) return null;
      throw error;
    }
    return { ...result, path: chosen, movedBytes: receivedBytes };
  });
}

/** Where the file goes; undefined if it is to be left out. Judged again when it is complete. */
async function chooseTarget(target: string, ifExists: IfExists): Promise<string | undefined> {
  if (ifExists === 'overwrite' || !(await exists(target))) return target;
  if (ifExists === 'skip') return undefined;
  if (ifExists === 'fail') throw new SealiftError('local-exists', `${target} exists already.`);
  for (const candidate of freeNames(target)) if (!(await exists(candidate))) return candidate;
  throw new SealiftError('local-exists', `No free name was found for ${target}.`);
}

function downloadOptions(context: RunContext, hooks: Parameters<FileJob['run']>[0]) {
  return { ...hooks, signal: context.signal, retry: context.retryPolicy, throttle: throttleOf(context) };
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
