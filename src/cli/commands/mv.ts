import { Command } from 'commander';

import { isSealiftError, SealiftError } from '../../errors.ts';
import { baseName, joinPath } from '../../transfer/remote-path.ts';
import { EXIT } from '../exit-codes.ts';
import type { Runner } from '../runner.ts';
import { addRemoteCommand, ask, remotePlace } from '../remote-command.ts';
import { setting } from '../settings.ts';

/** `sealift mv SOURCE TARGET` */
export function addMv(program: Command, run: Runner): void {
  const command = new Command('mv')
    .description('rename a file or directory on a server')
    .argument('<source>', 'host:path')
    .argument('<target>', 'host:path on the same server; a directory or path/ takes the name of the source')
    .addOption(setting('--no-clobber', 'fail instead of replacing a file'));
  addRemoteCommand(program, run, command, async (context, [sourceText, targetText]) => {
    const source = remotePlace(sourceText);
    const target = remotePlace(targetText);
    if ((await context.connector(source.server)) !== (await context.connector(target.server))) {
      throw new SealiftError('usage', 'Source and target have to be on one server.', {
        hint: 'Fetch the file with get and send it with put.',
      });
    }
    let attempts = 0;
    await ask(context, source, async (client) => {
      const isInto =
        target.hasTrailingSlash || target.path === '' || (await isDirectory(client, target.path));
      const to = isInto ? joinPath(target.path, baseName(source.path)) : target.path;
      attempts += 1;
      await client
        .move(source.path, to, context.settings['clobber'] === false ? { if: 'absent' } : {})
        .catch((error: unknown) => {
          // Gone after an attempt whose answer was lost: that attempt did it.
          if (!isSealiftError(error, 'not-found') || attempts === 1) throw error;
        });
    });
    return EXIT.done;
  });
}

async function isDirectory(
  client: { stat(path: string): Promise<{ type: string }> },
  path: string,
): Promise<boolean> {
  return client.stat(path).then(
    ({ type }) => type === 'directory',
    (error: unknown) => {
      if (isSealiftError(error, 'not-found', 'forbidden', 'not-directory')) return false;
      throw error;
    },
  );
}
