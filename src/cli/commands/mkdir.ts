import { Command } from 'commander';

import { each } from '../each.ts';
import type { Runner } from '../runner.ts';
import { addRemoteCommand, ask, remotePlace } from '../remote-command.ts';

/** `sealift mkdir PLACE...` */
export function addMkdir(program: Command, run: Runner): void {
  const command = new Command('mkdir')
    .description('make directories and their missing parents; no failure if they exist')
    .argument('<place...>', 'host:path');
  addRemoteCommand(program, run, command, async (context, [texts]) =>
    each(context, 'mkdir', (texts as string[]).map(remotePlace), (place) =>
      ask(context, place, (client) => client.mkdir(place.path)),
    ),
  );
}
