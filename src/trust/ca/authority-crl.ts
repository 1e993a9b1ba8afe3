import type { X509Certificate } from 'node:crypto';

import { SealiftError } from '../../errors.ts';
import { parseCrls, serialText, type Crl } from '../crl.ts';
import { readPrivateFile, writePrivateFile } from '../private-file.ts';
import { signerOf } from '../revocation-list.ts';
import { authorityFiles, exclusively, type Authority } from './authority.ts';
import { signedCrl } from './signed-crl.ts';

/** Signs the list of revoked certificates anew, so that it is up to date for so many days. */
export async function renewCrl(authority: Authority, days: number): Promise<void> {
  await revokeSerials(authority, async () => [], days);
}

export interface Revoked {
  /** The serial numbers of what is revoked: hexadecimal in capitals. */
  serials: string[];
  /** Those among them that were not revoked before. */
  added: string[];
}

/** Adds what `find` finds, while nothing else is issued, to the list of revoked certificates, and signs it anew. */
export async function revokeSerials(
  authority: Authority,
  find: () => Promise<readonly string[]>,
  days: number,
): Promise<Revoked> {
  const { directory, clock, random } = authority;
  return exclusively(authority, async () => {
    const serials = [...new Set((await find()).map(serialText))];
    const { number = 0n, revoked } = await readCrl(authority);
    const present = new Set(revoked.map(({ serial }) => serial));
    const added = serials.filter((serial) => !present.has(serial));
    const entries = [...revoked, ...added.map((serial) => ({ serial, revokedMs: clock.now() }))];
    const crl = await signedCrl({ number: number + 1n, revoked: entries, days }, authority);
    await writePrivateFile(authorityFiles(directory).crl, crl, random);
    return { serials, added };
  });
}

/** Tells which certificates the authority has revoked. */
export async function revocations(authority: Authority): Promise<(certificate: X509Certificate) => boolean> {
  const { revoked } = await readCrl(authority);
  const serials = new Set(revoked.map(({ serial }) => serial));
  return ({ serialNumber }) => serials.has(serialText(serialNumber));
}

// A list that is missing is not taken for an empty one: what it said would be forgotten.
async function readCrl({ directory, certificate }: Authority): Promise<Crl> {
  const file = authorityFiles(directory).crl;
  const text = await readPrivateFile(file);
  if (text === undefined) {
    throw new SealiftError('bad-configuration', `The list of revoked certificates ${file} is missing.`, {
      hint: `Restore ${file} from a backup, or from a server that uses it.`,
    });
  }
  const [crl] = parseCrls(text, file) as [Crl];
  signerOf(crl, [certificate], file);
  return crl;
}
