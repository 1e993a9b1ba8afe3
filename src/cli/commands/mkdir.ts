import { Command } from 'commander';

import { isSealiftError, SealiftError } from '../../errors.ts';
import { checkPath } from '../../transfer/remote-path.ts';
import { dryRunOption, isDryRun, noteDryRun, tellPlan } from '../dry-run.ts';
import { each } from '../each.ts';
import type { Runner } from '../runner.ts';
import { addRemoteCommand, ask, remotePlace, type RemotePlace } from '../remote-command.ts';
import type { RunContext } from '../run-context.ts';

/** `sealift mkdir PLACE...` */
export function addMkdir(program: Command, run: Runner): void {
  const command = new Command('mkdir')
    .description('make directories and their missing parents; no failure if they exist')
    .argument('<place...>', 'host:path')
    .addOption(dryRunOption());
  addRemoteCommand(program, run, command, async (context, [texts]) => {
    const exitCode = await each(context, 'mkdir', (texts as string[]).map(remotePlace), (place) =>
      isDryRun(context) ? plan(context, place) : ask(context, place, (client) => client.mkdir(place.path)),
    );
    noteDryRun(context);
    return exitCode;
  });
}

async function plan(context: RunContext, place: RemotePlace): Promise<void> {
  const { path } = place;
  checkPath(path, { allowRoot: false });
  const standing = await ask(context, place, (client) => client.stat(path)).catch((error: unknown) => {
    // Who may write need not be allowed to look.
    if (isSealiftError(error, 'not-found', 'forbidden')) return undefined;
    throw error;
  });
  if (standing !== undefined && standing.type !== 'directory')
    throw new SealiftError('exists', `${JSON.stringify(path)} exists already and is no directory.`);
  const action = standing === undefined ? 'send' : 'skip';
  const line = standing === undefined ? `make ${path}/` : `skip ${path}/ (exists)`;
  tellPlan(context, line, { path, action, what: 'directory' });
}
