import type { Command } from 'commander';

import { toSealiftError, SealiftError } from '../../errors.ts';
import { exitCodeOf, combinedExitCode } from '../exit-codes.ts';
import { addConnectionOptions } from '../options.ts';
import { parsePlaceText } from '../places.ts';
import type { Runner } from '../runner.ts';

/** `sealift cat SOURCE...` */
export function addCat(program: Command, run: Runner): void {
  const command = program
    .command('cat')
    .description('write remote files to standard output')
    .argument('<source...>', 'host:path or name:path');
  addConnectionOptions(command);
  run(
    command,
    async (context, operands) => {
      const { download } = await import('../../client/download.ts');
      const { streamSink } = await import('../../client/block-sink.ts');
      const failures: number[] = [];
      const sources = operands[0] as string[];
      for (const text of sources) {
        const place = parsePlaceText(text);
        if (place.kind !== 'remote') throw new SealiftError('usage', `${text} is no place on a server.`);
        const connector = await context.connector(place.server);
        try {
          await download(connector, place.path, streamSink(process.stdout), {
            signal: context.signal,
            retry: context.retryPolicy,
          });
        } catch (error) {
          if (context.signal.aborted) throw error;
          failures.push(exitCodeOf(toSealiftError(error), context.hasConnected));
          context.terminal.failure('cat', toSealiftError(error));
        }
      }
      return combinedExitCode(failures, sources.length - failures.length);
    },
    { dataOnStdout: () => true },
  );
}
