import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

import { SealiftError } from '../errors.ts';

/** A new ECDSA P-256 key as PKCS#8 in PEM, encrypted if there is a passphrase. */
export function newKey(passphrase?: string): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const format = { type: 'pkcs8', format: 'pem' } as const;
  const encryption = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return privateKey.export({ ...format, ...encryption }) as string;
}

/** Whether the key in `text` (PEM) can be read only with a passphrase. */
export function isEncryptedKey(text: string): boolean {
  return /^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text);
}

/**
 * The ECDSA P-256 key in `text` (PEM), which the file `file` holds. Throws `bad-configuration` for another kind of
 * key, and where the passphrase is wrong or missing.
 */
export function signerKey(text: string, file: string, passphrase?: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: text, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    throw unreadable(file, isEncryptedKey(text), passphrase === undefined, cause);
  }
  if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  throw new SealiftError('bad-configuration', `${file} is no ECDSA P-256 key.`, {
    hint: 'sealift cert works with the keys that it made.',
  });
}

function unreadable(file: string, isEncrypted: boolean, isMissing: boolean, cause: unknown): SealiftError {
  if (!isEncrypted) {
    return new SealiftError('bad-configuration', `${file} cannot be understood as a key in PEM.`, {
      cause,
      hint: `Restore ${file} from a backup.`,
    });
  }
  const message = isMissing
    ? `${file} is encrypted, and there is no passphrase for it.`
    : `The passphrase for ${file} is wrong.`;
  return new SealiftError('bad-configuration', message, {
    cause,
    hint: 'Give it with --passphrase-file, in SEALIFT_PASSPHRASE, or on a terminal.',
  });
}
