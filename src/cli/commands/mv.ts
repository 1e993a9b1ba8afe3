import { Command } from 'commander';

import type { Client } from '../../client/client.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { baseName, checkPath, isWithin, joinPath } from '../../transfer/remote-path.ts';
import { dryRunOption, isDryRun, noteDryRun, tellPlan } from '../dry-run.ts';
import { EXIT } from '../exit-codes.ts';
import type { Runner } from '../runner.ts';
import {
  addRemoteCommand,
  ask,
  assertAsWritten,
  assertNoPattern,
  remotePlace,
  type RemotePlace,
} from '../remote-command.ts';
import type { RunContext } from '../run-context.ts';
import { setting } from '../settings.ts';

/** `sealift mv SOURCE TARGET` */
export function addMv(program: Command, run: Runner): void {
  const command = new Command('mv')
    .description('rename a file or directory on a server')
    .argument('<source>', 'host:path')
    .argument('<target>', 'host:path on the same server; a directory or path/ takes the name of the source')
    .addOption(setting('--no-clobber', 'fail instead of replacing a file'))
    .addOption(dryRunOption());
  addRemoteCommand(program, run, command, async (context, [sourceText, targetText]) => {
    const source = remotePlace(sourceText);
    const target = remotePlace(targetText);
    checkPath(source.path, { allowRoot: false });
    if ((await context.connector(source.server)) !== (await context.connector(target.server))) {
      throw new SealiftError('usage', 'Source and target have to be on one server.', {
        hint: 'Fetch the file with get and send it with put.',
      });
    }
    await assertNoPattern(context, source);
    let attempts = 0;
    await ask(context, source, async (client) => {
      const isInto =
        target.hasTrailingSlash || target.path === '' || (await isDirectory(client, target.path));
      const to = isInto ? joinPath(target.path, baseName(source.path)) : target.path;
      const isFresh = context.settings['clobber'] === false;
      if (isDryRun(context)) return plan(context, client, { source, to, isFresh });
      if (attempts === 0 && source.hasTrailingSlash) assertAsWritten(source, await client.stat(source.path));
      attempts += 1;
      await client.move(source.path, to, isFresh ? { if: 'absent' } : {}).catch((error: unknown) => {
        // Gone after an attempt whose answer was lost: that attempt did it.
        if (!isSealiftError(error, 'not-found') || attempts === 1) throw error;
      });
    });
    noteDryRun(context);
    return EXIT.done;
  });
}

/** Fails as the move would. */
async function plan(
  context: RunContext,
  client: Client,
  { source, to, isFresh }: { source: RemotePlace; to: string; isFresh: boolean },
): Promise<void> {
  const { path: from } = source;
  const { type } = await client.stat(from);
  assertAsWritten(source, { type });
  if (type === 'directory' && to !== from && isWithin(to, from))
    throw new SealiftError('bad-request', 'A directory cannot be moved into itself.');
  const standing = await typeAt(client, to);
  if (isFresh && standing !== undefined)
    throw new SealiftError('exists', `${JSON.stringify(to)} exists already.`);
  if (type === 'directory' && standing !== undefined && standing !== 'directory')
    throw new SealiftError('not-directory', `${JSON.stringify(to)} is no directory.`);
  if (type !== 'directory' && standing === 'directory')
    throw new SealiftError('is-directory', `${JSON.stringify(to)} is a directory.`);
  tellPlan(context, `move ${from} -> ${to}`, { path: to, action: 'move', what: type, from });
}

async function isDirectory(client: Client, path: string): Promise<boolean> {
  return (await typeAt(client, path)) === 'directory';
}

/** What stands under a path; undefined if nothing does, or if we may not look. */
async function typeAt(client: Client, path: string): Promise<string | undefined> {
  return client.stat(path).then(
    ({ type }) => type,
    (error: unknown) => {
      if (isSealiftError(error, 'not-found', 'forbidden', 'not-directory')) return undefined;
      throw error;
    },
  );
}
