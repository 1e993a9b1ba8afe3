import { isSealiftError, SealiftError } from '../errors.ts';
import { setting, type Settings } from './settings.ts';

/** The option of commands that fetch a file. */
export function versionOption() {
  return setting('--version <id>', 'a former version of the file, as ls --versions tells it');
}

/** The version that is asked for, if one is. Throws `usage` where that could be of more than one file. */
export function chosenVersion(
  settings: Settings,
  { sources, isTree = false }: { sources: readonly unknown[]; isTree?: boolean },
): string | undefined {
  const version = settings['version'] as string | undefined;
  if (version !== undefined && settings['checksum'] === true)
    throw new SealiftError(
      'usage',
      '--checksum compares with what stands there, and --version is what stood there.',
    );
  if (version === undefined || (sources.length === 1 && !isTree)) return version;
  throw new SealiftError('usage', '--version is that of one file, and more than one was asked for.', {
    hint: 'Name one file, without --recursive and --archive.',
  });
}

/** For `catch`: tells whoever asks a server for versions that keeps none how it would. */
export function hintAtKeeping(error: unknown): never {
  if (!isSealiftError(error, 'unsupported')) throw error;
  throw new SealiftError('unsupported', error.message, {
    cause: error,
    hint: 'It keeps what is replaced or removed from then on where it is started with: sealift serve --keep-versions 30d',
  });
}
