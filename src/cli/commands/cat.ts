import type { Command } from 'commander';

import { each } from '../each.ts';
import { suitGarbageCollectionToStreams } from '../garbage-collection.ts';
import { addCompressOption, addConnectionOptions } from '../options.ts';
import { remotePlace } from '../remote-command.ts';
import type { Runner } from '../runner.ts';

/** `sealift cat SOURCE...` */
export function addCat(program: Command, run: Runner): void {
  const command = program
    .command('cat')
    .description('write remote files to standard output')
    .argument('<source...>', 'host:path or name:path');
  addCompressOption(addConnectionOptions(command));
  run(
    command,
    async (context, operands) => {
      const { download } = await import('../../client/download.ts');
      const { streamSink } = await import('../../client/block-sink.ts');
      const { signal, retryPolicy: retry } = context;
      suitGarbageCollectionToStreams();
      return each(context, 'cat', (operands[0] as string[]).map(remotePlace), async ({ server, path }) => {
        await download(await context.connector(server), path, streamSink(process.stdout), { signal, retry });
      });
    },
    { dataOnStdout: () => true },
  );
}
