import { Command } from 'commander';

import { isSealiftError, SealiftError } from '../../errors.ts';
import { each } from '../each.ts';
import type { Runner } from '../runner.ts';
import { addRemoteCommand, ask, remotePlace } from '../remote-command.ts';
import { setting } from '../settings.ts';

/** `sealift rm PLACE...` */
export function addRm(program: Command, run: Runner): void {
  const command = new Command('rm')
    .description('remove files, links and empty directories')
    .argument('<place...>', 'host:path')
    .addOption(setting('-r, --recursive', 'directories with everything in them'))
    .addOption(setting('-f, --force', 'no failure for what does not exist'));
  addRemoteCommand(program, run, command, async (context, [texts]) => {
    const { settings } = context;
    const places = (texts as string[]).map(remotePlace);
    if (places.some(({ path }) => path === ''))
      throw new SealiftError('usage', 'The root itself cannot be removed.');
    return each(context, 'rm', places, async (place) => {
      let attempts = 0;
      await ask(context, place, async (client) => {
        attempts += 1;
        await client
          .remove(place.path, { recursive: settings['recursive'] === true })
          .catch((error: unknown) => {
            // Gone after an attempt whose answer was lost: that attempt did it.
            if (!isSealiftError(error, 'not-found') || (attempts === 1 && settings['force'] !== true))
              throw error;
          });
      });
    });
  });
}
