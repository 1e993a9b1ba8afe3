import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';

import type { Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import type { Random } from '../random.ts';
import { serverNames } from './certificate-names.ts';
import { withFileLock } from './file-lock.ts';
import { certificatePin } from './pins.ts';
import { assertPrivate, makePrivateDirectory, readPrivateFile, writePrivateFile } from './private-file.ts';
import { selfSignedCertificate } from './self-signed-certificate.ts';
import { removeTemporaries } from './temporary-file.ts';
import { validFor } from './validity.ts';

/** A server's key and the self-signed certificate for it, both PEM, and the pin that clients keep of the key. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
  readonly pin: string;
}

export interface IdentityOptions {
  /** The host names and IP addresses that the certificate is for; at least one. */
  names: readonly string[];
  clock: Clock;
  random: Random;
  /** How long the certificate is valid, in days. Default 7,300 (20 years): clients pin the key, not the dates. */
  days?: number;
}

/**
 * Makes a self-signed server certificate (ECDSA P-256, SHA-256) for a new key, or for `privateKey` (PEM). It is valid
 * from an hour ago, for clients whose clock is behind. Throws `invalid-argument` for a name that no certificate can
 * bear.
 */
export async function createIdentity(options: IdentityOptions, privateKey?: string): Promise<Identity> {
  const { names, clock, random, days = 7_300 } = options;
  const content = { names: serverNames(names), validity: validFor(days, clock), privateKey };
  const { cert, key } = await selfSignedCertificate(content, random);
  return { cert, key, pin: certificatePin(new X509Certificate(cert)) };
}

/** The same, and whether it was made just now. */
export interface StoredIdentity extends Identity {
  readonly created: boolean;
}

/**
 * The identity kept in `directory` as `key.pem` and `cert.pem` (both 0600), made at the first call. The key is written
 * first: a crash in between leaves a key alone, for which the next call makes the certificate, so the pin stays the
 * same. (Removing `cert.pem` thus renews it.) A certificate without its key, a pair that does not belong together, and
 * a key that others can read are `bad-configuration`.
 */
export async function loadOrCreateIdentity(
  directory: string,
  options: IdentityOptions,
): Promise<StoredIdentity> {
  const keyFile = join(directory, 'key.pem');
  const certFile = join(directory, 'cert.pem');
  const existing = await loadIdentity(keyFile, certFile);
  if (existing) return { ...existing, created: false };

  const { clock, random } = options;
  await makePrivateDirectory(directory);
  // Two servers that start at once must not each write one half.
  return withFileLock(
    keyFile,
    async () => {
      const found = await loadIdentity(keyFile, certFile);
      if (found) return { ...found, created: false };
      // Left by one that was killed, perhaps with a key in it: later on nothing is written here any more.
      await removeTemporaries(directory);
      const key = await loneKey(keyFile);
      const identity = await createIdentity(options, key);
      if (key === undefined) await writePrivateFile(keyFile, identity.key, random);
      await writePrivateFile(certFile, identity.cert, random);
      return { ...identity, created: true };
    },
    { clock, random },
  );
}

async function loadIdentity(keyFile: string, certFile: string): Promise<Identity | undefined> {
  const cert = await readPrivateFile(certFile);
  if (cert === undefined) return undefined;
  const key = await readPrivateFile(keyFile);
  if (key === undefined) {
    throw new SealiftError(
      'bad-configuration',
      `The key of ${certFile} is missing: there is no ${keyFile}.`,
      {
        hint: `Restore ${keyFile}, or remove ${certFile} to make a new key; clients must then trust the new pin.`,
      },
    );
  }
  await assertPrivate(keyFile);
  const certificate = parsed(certFile, () => new X509Certificate(cert));
  const privateKey = parsed(keyFile, () => createPrivateKey(key));
  if (certificate.checkPrivateKey(privateKey)) return { cert, key, pin: certificatePin(certificate) };
  throw new SealiftError('bad-configuration', `${keyFile} is not the key of the certificate ${certFile}.`, {
    hint: `Restore the one that was replaced, or remove ${certFile} to make a certificate for this key.`,
  });
}

/** The key that a crash left without certificate, if there is one; it must be one that a certificate is made for. */
async function loneKey(keyFile: string): Promise<string | undefined> {
  const key = await readPrivateFile(keyFile);
  if (key === undefined) return undefined;
  await assertPrivate(keyFile);
  const { asymmetricKeyType, asymmetricKeyDetails } = parsed(keyFile, () => createPrivateKey(key));
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  throw new SealiftError(
    'bad-configuration',
    `${keyFile} has no certificate, and is no ECDSA P-256 key to make one for.`,
    {
      hint: `Put its certificate beside it, or remove ${keyFile}.`,
    },
  );
}

function parsed<T>(file: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new SealiftError('bad-configuration', `${file} cannot be understood as PEM.`, {
      cause,
      hint: `Restore ${file} from a backup.`,
    });
  }
}
