import { rm } from 'node:fs/promises';

import { SealiftError } from '../errors.ts';
import type { Random } from '../random.ts';
import { formatAddress, parseAddress, type Address } from '../transport/address.ts';
import { isPin } from '../trust/pins.ts';
import { readPrivateFile, writePrivateFile } from '../trust/private-file.ts';
import { isProcessLockHeld } from '../trust/process-lock.ts';
import { statePaths } from './state-paths.ts';

/** What a server tells, while it listens, to commands that run beside it on the same machine. */
export interface ListeningServer {
  /** Its host is empty where it listens on all addresses. */
  address: Address;
  /** Of its key. */
  pin: string;
  /** The absolute path of the file that names its principals. */
  usersFile: string;
}

/** Writes down that a server listens for the directory `root`. */
export async function announceListening(
  root: string,
  { address, pin, usersFile }: ListeningServer,
  random: Random,
): Promise<void> {
  const isEverywhere = !('path' in address) && address.host === '';
  const text = JSON.stringify({
    address: isEverywhere ? `:${address.port}` : formatAddress(address),
    pin,
    usersFile,
  });
  await writePrivateFile(statePaths(root).listening, `${text}\n`, random);
}

/** Takes that back. */
export async function withdrawListening(root: string): Promise<void> {
  await rm(statePaths(root).listening, { force: true });
}

/** The server that listens for the directory `root`; undefined if none does. Throws `bad-configuration` if what it wrote makes no sense. */
export async function listeningServer(root: string): Promise<ListeningServer | undefined> {
  // One that was killed could not take its word back.
  const { lock, listening: file } = statePaths(root);
  if (!(await isProcessLockHeld(lock))) return undefined;
  const text = await readPrivateFile(file);
  if (text === undefined) return undefined;
  const { address, pin, usersFile } = parsed(text);
  const isSound = typeof pin === 'string' && isPin(pin) && typeof usersFile === 'string';
  const place = typeof address === 'string' ? parsedAddress(address) : undefined;
  if (isSound && place !== undefined) return { address: place, pin, usersFile };
  throw new SealiftError('bad-configuration', `${file} is damaged.`, { hint: 'Start the server again.' });
}

function parsed(text: string): Record<string, unknown> {
  try {
    return (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function parsedAddress(text: string): Address | undefined {
  if (!text.startsWith(':')) return parseAddress(text);
  const address = parseAddress(`localhost${text}`);
  return address === undefined || 'path' in address ? address : { ...address, host: '' };
}
