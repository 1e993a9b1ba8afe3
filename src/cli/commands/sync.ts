import type { Command } from 'commander';

import type { Connector } from '../../client/connector.ts';
import type { MaxDelete } from '../../client/tree/plan.ts';
import { planSync, type SyncOptions } from '../../client/tree/plan-tree.ts';
import { SealiftError } from '../../errors.ts';
import { formatAddress } from '../../transport/address.ts';
import { forgettingBegun } from '../begun-tree.ts';
import { isDryRun } from '../dry-run.ts';
import { runJobs } from '../file-jobs.ts';
import { filterOf } from '../filter-settings.ts';
import { addConnectionOptions, addTransferOptions } from '../options.ts';
import { assertNoPattern, remotePlace } from '../remote-command.ts';
import type { Runner } from '../runner.ts';
import type { RunContext } from '../run-context.ts';
import { setting } from '../settings.ts';
import { parsePlaceText } from '../places.ts';
import { treeDirection } from '../tree-direction.ts';
import { treeJob } from '../tree-job.ts';
import { localPlace, treeEnds, type TreeEnds } from '../tree-places.ts';
import { addTreeOptions, parseMaxDelete, rulesOf } from '../tree-settings.ts';
import { addUnattendedTransferOptions, unattended } from '../unattended.ts';

/** `sealift sync SOURCE TARGET` */
export function addSync(program: Command, run: Runner): void {
  const command = program
    .command('sync')
    .description('make a tree like another, with permission bits, links and times; send only what differs')
    .argument('<source>', 'a local directory or file, or host:path')
    .argument('<target>', 'the other of the two; dir/ takes a source that is written without / into itself');
  addTreeOptions(addTransferOptions(addConnectionOptions(command)))
    .addOption(setting('-r, --recursive', 'without effect: what is below is always meant'))
    .addOption(setting('--delete', 'remove what the source lacks, after all else has succeeded'))
    .addOption(
      setting('--max-delete <count>', 'refuse to remove more: a number, or a share as 10%', parseMaxDelete),
    )
    .addOption(setting('--delete-excluded', 'with --delete: also remove what patterns and lists leave out'))
    .addOption(setting('--backup-dir <dir>', 'keep here, at the target, what is replaced or removed'))
    .addOption(setting('--detect-renames', 'with --delete: move at the target what has only another name'))
    .addOption(setting('--allow-empty-source', 'an empty source is meant to be empty'));
  addUnattendedTransferOptions(command);
  run(
    command,
    (context, [source, target]) => {
      const server = remoteEnd(String(source), String(target));
      return unattended(
        context,
        'sync',
        () => context.connector(server),
        (inner) => sync(inner, String(source), String(target)),
      );
    },
    { goesOn: () => true },
  );
}

/** The server of the two places. Throws `usage` unless exactly one is on a server. */
export function remoteEnd(source: string, target: string) {
  const [from, to] = [parsePlaceText(source), parsePlaceText(target)];
  if (from.kind === 'remote' && to.kind === 'remote') {
    throw new SealiftError('usage', 'The source and the target are both on a server.', {
      hint: 'Run the command on one of the two.',
    });
  }
  return (from.kind === 'remote' ? from : remotePlace(target)).server;
}

async function sync(context: RunContext, sourceText: string, targetText: string): Promise<number> {
  const { settings } = context;
  if (settings['ifExists'] === 'rename')
    throw new SealiftError(
      'usage',
      '--if-exists rename makes no target like its source; put and get can do it.',
    );
  if (settings['detectRenames'] === true && settings['delete'] !== true)
    throw new SealiftError('usage', '--detect-renames moves what --delete would remove, and needs that.');
  if (settings['deleteExcluded'] === true && settings['delete'] !== true)
    throw new SealiftError('usage', '--delete-excluded tells what --delete also removes, and needs that.');
  const rules = rulesOf(context, { isArchive: true });
  const ends = await treeEnds(context, sourceText, targetText);
  if (!ends.isSending) await assertNoPattern(context, ends.remote);
  const connector = await context.connector(ends.remote.server);
  const places = { connector, remote: ends.remote.path, local: ends.local, isSending: ends.isSending };
  const direction = await treeDirection(context, {
    ...places,
    rules,
    backupDirectory: await backupDirectory(context, connector, ends),
  });
  const options: SyncOptions = {
    rules,
    filter: await filterOf(context),
    deleteExcluded: settings['deleteExcluded'] === true,
    maxDelete: settings['maxDelete'] as MaxDelete | undefined,
    detectRenames: settings['detectRenames'] === true,
    allowEmptySource: settings['allowEmptySource'] === true,
    signal: context.signal,
  };
  let refusal: SealiftError | undefined;
  const job = treeJob(context, {
    name: ends.isSending ? sourceText : ends.local,
    direction,
    rules,
    showsPlan: true,
    isRefused: () => refusal !== undefined,
    plan: async function* (onCount) {
      const onTooManyDeletions = isDryRun(context) ? (error: SealiftError) => (refusal = error) : undefined;
      yield await planSync(direction, { ...options, onCount, onTooManyDeletions });
      if (refusal !== undefined) throw refusal;
    },
  });
  return runJobs(context, 'sync', connector, {
    jobs: [forgettingBegun(context, { ...places, isNewName: false }, job)],
    isSending: ends.isSending,
  });
}

// On the side of the target: on this machine, or a path from the root of its server, whose name may stand before it.
async function backupDirectory(
  context: RunContext,
  connector: Connector,
  { isSending }: TreeEnds,
): Promise<string | undefined> {
  const { backupDir: text } = context.settings;
  if (typeof text !== 'string') return undefined;
  if (!isSending) return localPlace(text, 'source').path;
  const place = parsePlaceText(text);
  if (place.kind !== 'remote') return remotePlace(`here:${text}`).path;
  const { options } = await context.connector(place.server);
  if (formatAddress(options.address) === formatAddress(connector.options.address)) return place.path;
  throw new SealiftError('usage', `--backup-dir: ${text} is not on the server of the target.`, {
    hint: `A directory of that name there is written ./${text}.`,
  });
}
