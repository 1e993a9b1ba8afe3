import type { Command } from 'commander';

import { isSealiftError, SealiftError } from '../../errors.ts';
import { each } from '../each.ts';
import { addCompressOption, addConnectionOptions } from '../options.ts';
import { assertNoPattern, remotePlace, withPortHint } from '../remote-command.ts';
import type { Runner } from '../runner.ts';
import { standardOutput } from '../standard-streams.ts';
import { chosenVersion, hintAtKeeping, versionOption } from '../versions.ts';

/** `sealift cat SOURCE...` */
export function addCat(program: Command, run: Runner): void {
  const command = program
    .command('cat')
    .description('write remote files to standard output')
    .argument('<source...>', 'host:path or name:path');
  addCompressOption(addConnectionOptions(command)).addOption(versionOption());
  run(
    command,
    async (context, operands) => {
      const { download } = await import('../../client/download.ts');
      const { streamSink } = await import('../../client/block-sink.ts');
      const { signal, retryPolicy: retry } = context;
      const sources = (operands[0] as string[]).map(remotePlace);
      const version = chosenVersion(context.settings, { sources });
      const output = standardOutput();
      return each(context, 'cat', sources, async (source) => {
        if (version === undefined) await assertNoPattern(context, source);
        const { server, path } = source;
        const connector = await context.connector(server);
        const options = { signal, retry, version };
        await download(connector, path, streamSink(output), options).catch(async (error: unknown) =>
          hintAtGet(await withPortHint(context, source, error)),
        );
      });
    },
    { dataOnStdout: () => true },
  );
}

function hintAtGet(error: unknown): never {
  if (!isSealiftError(error, 'is-directory')) return hintAtKeeping(error);
  throw new SealiftError('is-directory', error.message, {
    cause: error,
    hint: 'To fetch it with all in it: sealift get --recursive SOURCE TARGET',
  });
}
