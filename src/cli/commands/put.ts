import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import type { Command } from 'commander';

import type { BlockSource } from '../../client/block-source.ts';
import type { Connector } from '../../client/connector.ts';
import { withRetries } from '../../client/retry.ts';
import { systemClock } from '../../clock.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { systemRandom } from '../../random.ts';
import { checkPath, joinPath } from '../../transfer/remote-path.ts';
import { formatAddress } from '../../transport/address.ts';
import { runFileJobs, type FileJob, type FileOutcome } from '../file-jobs.ts';
import { disposing } from '../disposing.ts';
import { freeNames, type IfExists } from '../if-exists.ts';
import { addConnectionOptions, addTransferOptions } from '../options.ts';
import { parsePlaceText, sourcesAndTarget, type PlaceText } from '../places.ts';
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
  const target = parsePlaceText(targetText);
  if (target.kind !== 'remote') {
    throw new SealiftError('usage', `${targetText} is no place on a server.`, {
      hint: 'Write the target as host:path, or name:path with a saved remote.',
    });
  }
  const sources = sourceTexts.map((text) => localSource(text));
  const connector = await context.connector(target.server);
  const isInto =
    sources.length > 1 ||
    target.hasTrailingSlash ||
    target.path === '' ||
    (await isDirectory(context, connector, target.path));
  const jobs = await Promise.all(
    sources.map((source) =>
      putJob(context, connector, source, isInto ? pathInto(target.path, source) : target.path),
    ),
  );
  return runFileJobs(context, 'put', connector, jobs);
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

async function isDirectory(context: RunContext, connector: Connector, path: string): Promise<boolean> {
  try {
    const entry = await withRetries(
      { policy: context.retryPolicy, clock: systemClock, random: systemRandom, signal: context.signal },
      async () => (await connector.use()).stat(path),
    );
    return entry.type === 'directory';
  } catch (error) {
    // Who may only write cannot look; the target is then taken as it is written.
    if (isSealiftError(error, 'not-found', 'forbidden', 'not-directory')) return false;
    throw error;
  }
}

async function putJob(
  context: RunContext,
  connector: Connector,
  source: LocalSource,
  path: string,
): Promise<FileJob> {
  checkPath(path, { allowRoot: false });
  const size =
    source.kind === 'stdio'
      ? null
      : await stat(source.path).then(
          (stats) => stats.size,
          () => null,
        );
  return {
    name: source.kind === 'stdio' ? path : source.path,
    size,
    run: async (hooks) => {
      const { openFileSource, streamSource } = await import('../../client/block-source.ts');
      const opened =
        source.kind === 'stdio' ? streamSource(process.stdin) : await openFileSource(source.path);
      return disposing(opened, () => putFile(context, connector, { opened, source, path }, hooks));
    },
  };
}

async function putFile(
  context: RunContext,
  connector: Connector,
  { opened, source, path }: { opened: BlockSource; source: LocalSource; path: string },
  hooks: Parameters<FileJob['run']>[0],
): Promise<FileOutcome | null> {
  const { upload } = await import('../../client/upload.ts');
  const { ResumeKeys } = await import('../../client/resume-keys.ts');
  const ifExists = context.settings['ifExists'] as IfExists;
  const keys = new ResumeKeys(join(context.directories.state, 'resume'));
  const send = (to: string) =>
    upload(connector, opened, to, {
      ...hooks,
      signal: context.signal,
      retry: context.retryPolicy,
      throttle: throttleOf(context),
      ...(ifExists === 'overwrite' ? {} : { if: 'absent' }),
      ...(source.kind === 'stdio'
        ? {}
        : {
            resume: {
              keys,
              name: `${formatAddress(connector.options.address)}\0${to}\0${resolve(source.path)}`,
            },
          }),
    });
  for (const candidate of ifExists === 'rename' ? freeNames(path) : [path]) {
    try {
      const { receipt, sentBytes, ...rest } = await send(candidate);
      return { ...receipt, ...rest, movedBytes: sentBytes };
    } catch (error) {
      if (!isSealiftError(error, 'exists') || (ifExists !== 'skip' && ifExists !== 'rename')) throw error;
      if (ifExists === 'skip') return null;
    }
  }
  throw new SealiftError('exists', `No free name was found for ${JSON.stringify(path)}.`);
}
