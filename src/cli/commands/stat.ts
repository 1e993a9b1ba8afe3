import { Command } from 'commander';

import { printable } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import type { Runner } from '../runner.ts';
import { addRemoteCommand, ask, assertAsWritten, assertNoPattern, remotePlace } from '../remote-command.ts';
import { setting } from '../settings.ts';

/** `sealift stat PLACE` */
export function addStat(program: Command, run: Runner): void {
  const command = new Command('stat')
    .description('tell what stands under a name')
    .argument('<place>', 'host:path')
    .addOption(setting('--digest', 'read the file on the server and tell its digest'));
  addRemoteCommand(program, run, command, async (context, [text]) => {
    const { terminal, settings, signal } = context;
    const place = remotePlace(text);
    await assertNoPattern(context, place);
    const entry = await ask(context, place, (client) =>
      client.stat(place.path, { digest: settings['digest'] === true, signal }),
    );
    assertAsWritten(place, entry);
    const { type, ...rest } = entry;
    terminal.event('stat', { path: place.path, kind: type, ...rest });
    if (terminal.options.json) return EXIT.done;
    const lines = {
      path: place.path === '' ? '(root)' : place.path,
      type,
      size: entry.size,
      modified: new Date(entry.mtimeMs).toISOString(),
      mode: entry.mode.toString(8).padStart(4, '0'),
      target: entry.target,
      etag: entry.etag,
      digest: entry.digest,
    };
    for (const [name, value] of Object.entries(lines))
      if (value !== undefined) terminal.data(`${name.padEnd(9)} ${printable(String(value))}`);
    return EXIT.done;
  });
}
