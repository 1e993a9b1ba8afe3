import { SealiftError } from '../errors.ts';
import { checkPath } from '../transfer/remote-path.ts';

/**
 * The name under which a store keeps what is its own, in its root. No path reaches it, in any store and at any
 * depth: what is a directory of the tree today may have been a root of its own, and its key is secret still. What
 * holds such a directory may be moved or removed all the same, and takes it along.
 */
export const STATE_DIRECTORY = '.sealift';

const PLAIN = /^[\x20-\x7e]*$/;
/**
 * The name in any case of letters, and its short forms, as FAT and NTFS make them (`SEALIF~1`, and `SE4F2A~1` once the
 * first are taken). They and SMB leave out dots and spaces at the end, and what follows a colon is a stream.
 */
const OWN = /^(?:\.sealift|sealif~\d+|se[0-9a-f]{4}~\d)[. ]*(?::|$)/i;

/** Throws `bad-name` unless a store may be asked for `path`: by the grammar, and because it is not its own. */
export function checkStorePath(path: string, options: { allowRoot: boolean }): void {
  checkPath(path, options);
  if (path.split('/').some(isOwnName))
    throw new SealiftError('bad-name', `The name ${STATE_DIRECTORY} belongs to the service.`);
}

/**
 * Whether some file system might take `name` for that of a state directory: as above, in compatibility forms, and with
 * characters that are not seen, which HFS+ leaves out when it compares.
 */
export function isOwnName(name: string): boolean {
  // Nearly every name is plain ASCII, which has no other forms.
  if (PLAIN.test(name)) return OWN.test(name);
  const seen = name.replaceAll(/\p{Default_Ignorable_Code_Point}/gu, '');
  return OWN.test(seen.normalize('NFKC'));
}
