import { Command } from 'commander';

import type { Client } from '../../client/client.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { dryRunOption, isDryRun, noteDryRun, tellPlan } from '../dry-run.ts';
import { each } from '../each.ts';
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

/** `sealift rm PLACE...` */
export function addRm(program: Command, run: Runner): void {
  const command = new Command('rm')
    .description('remove files, links and empty directories')
    .argument('<place...>', 'host:path')
    .addOption(setting('-r, --recursive', 'directories with everything in them'))
    .addOption(setting('-f, --force', 'no failure for what does not exist'))
    .addOption(dryRunOption());
  addRemoteCommand(program, run, command, async (context, [texts]) => {
    const { settings } = context;
    const places = (texts as string[]).map(remotePlace);
    if (places.some(({ path }) => path === ''))
      throw new SealiftError('usage', 'The root itself cannot be removed.');
    const exitCode = await each(context, 'rm', places, async (place) => {
      await assertNoPattern(context, place);
      if (isDryRun(context)) return plan(context, place);
      let attempts = 0;
      await ask(context, place, async (client) => {
        attempts += 1;
        await remove(client, place, settings['recursive'] === true).catch((error: unknown) => {
          // Gone after an attempt whose answer was lost: that attempt did it.
          if (!isSealiftError(error, 'not-found') || (attempts === 1 && settings['force'] !== true))
            hintAtContents(error);
        });
      });
    });
    noteDryRun(context);
    return exitCode;
  });
}

/** Fails as the removal would. */
async function plan(context: RunContext, place: RemotePlace): Promise<void> {
  const { settings } = context;
  const { path } = place;
  try {
    const { type } = await ask(context, place, (client) => client.stat(path));
    assertAsWritten(place, { type });
    const isDirectory = type === 'directory';
    if (isDirectory && settings['recursive'] !== true)
      await ask(context, place, (client) => assertEmpty(client, path)).catch(hintAtContents);
    tellPlan(context, `delete ${path}${isDirectory ? '/' : ''}`, { path, action: 'delete', what: type });
  } catch (error) {
    if (!isSealiftError(error, 'not-found') || settings['force'] !== true) throw error;
  }
}

async function assertEmpty(client: Client, path: string): Promise<void> {
  const first = await client.list(path).next();
  if (first.done !== true) throw new SealiftError('not-empty', `${JSON.stringify(path)} is not empty.`);
}

function hintAtContents(error: unknown): never {
  if (!isSealiftError(error, 'not-empty')) throw error;
  throw new SealiftError('not-empty', error.message, {
    cause: error,
    hint: 'To remove it with all in it: --recursive.',
  });
}

async function remove(client: Client, place: RemotePlace, recursive: boolean): Promise<void> {
  if (place.hasTrailingSlash) assertAsWritten(place, await client.stat(place.path));
  await client.remove(place.path, { recursive });
}
