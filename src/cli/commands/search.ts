import { Command } from 'commander';

import { isWithin } from '../../transfer/remote-path.ts';
import { printable } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import type { Runner } from '../runner.ts';
import { addRemoteCommand, ask, assertAsWritten, remotePlace } from '../remote-command.ts';

/** `sealift search PLACE QUERY` */
export function addSearch(program: Command, run: Runner): void {
  const command = new Command('search')
    .description('list the files whose path contains a text, or matches it as a glob (*, ** and ?)')
    .argument('<place>', 'host:path; host: is the root')
    .argument('<query>', 'a part of a path from the root, or a glob for all of it');
  addRemoteCommand(program, run, command, async (context, [text, query]) => {
    const { terminal, signal } = context;
    const place = remotePlace(text);
    const paths = await ask(context, place, async (client) => {
      if (place.path !== '') assertAsWritten(place, await client.stat(place.path, { signal }));
      const found = await Array.fromAsync(client.search(String(query), { signal }));
      // A search covers the whole root of the server.
      return found.filter((path) => isWithin(path, place.path));
    });
    for (const path of paths.sort()) {
      if (terminal.options.json) terminal.event('entry', { path });
      else terminal.data(printable(path));
    }
    // As grep does it: nothing found is told by the exit code.
    return paths.length > 0 ? EXIT.done : EXIT.notFound;
  });
}
