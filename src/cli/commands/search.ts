import { Command } from 'commander';

import { printable } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import type { Runner } from '../runner.ts';
import { addRemoteCommand, ask, remotePlace } from '../remote-command.ts';

/** `sealift search SERVER QUERY` */
export function addSearch(program: Command, run: Runner): void {
  const command = new Command('search')
    .description('list the files whose path contains a text, or matches it as a glob (*, ** and ?)')
    .argument('<server>', 'host: or name:')
    .argument('<query>', 'a part of a path, or a glob');
  addRemoteCommand(program, run, command, async (context, [server, query]) => {
    const { terminal, signal } = context;
    const paths = await ask(context, remotePlace(server), (client) =>
      Array.fromAsync(client.search(String(query), { signal })),
    );
    for (const path of paths.sort()) {
      if (terminal.options.json) terminal.event('entry', { path });
      else terminal.data(printable(path));
    }
    // As grep does it: nothing found is told by the exit code.
    return paths.length > 0 ? EXIT.done : EXIT.notFound;
  });
}
