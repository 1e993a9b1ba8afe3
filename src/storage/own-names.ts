import { SealiftError } from '../errors.ts';
import { checkPath } from '../transfer/remote-path.ts';

/** The name, in the root, under which a store keeps what is its own. No path reaches it, in any store. */
export const STATE_DIRECTORY = '.sealift';

/** Throws `bad-name` unless a store may be asked for `path`: by the grammar, and because it is not its own. */
export function checkStorePath(path: string, options: { allowRoot: boolean }): void {
  checkPath(path, options);
  if (isOwnName(path.split('/', 1)[0] ?? ''))
    throw new SealiftError('bad-name', `The name ${STATE_DIRECTORY} in the root belongs to the service.`);
}

/**
 * Whether some file system might take `name`, in the root, for the state directory: in any case of letters, in
 * compatibility forms, and with characters that are not seen, which HFS+ leaves out when it compares.
 */
export function isOwnName(name: string): boolean {
  const seen = name.replaceAll(/\p{Default_Ignorable_Code_Point}/gu, '');
  return seen.normalize('NFKC').toLowerCase() === STATE_DIRECTORY;
}
