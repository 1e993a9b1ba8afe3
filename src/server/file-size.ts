import { SealiftError } from '../errors.ts';
import type { Grant } from '../trust/grant.ts';
import { formatSize } from '../units.ts';

/** Throws `too-large` for a file of so many bytes, if the principal may have none as large. */
export function assertFileSize(bytes: number, { maxFileBytes = Infinity }: Grant): void {
  if (bytes <= maxFileBytes) return;
  throw new SealiftError(
    'too-large',
    `A file of yours may have no more than ${formatSize(maxFileBytes)} here.`,
  );
}
