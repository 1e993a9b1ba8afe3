import type { Entry } from './store.ts';

/** The bits of a mode that this project knows of: setuid, setgid and sticky are neither shown nor set. */
export const PERMISSION_BITS = 0o777;

/**
 * The permission bits that something gets of which `mode` is asked. Those of its owner stay, who is the server
 * process: a file that it could not read would be lost to everybody, and a directory with all in it.
 */
export function keptMode(type: Entry['type'], mode: number): number {
  return (mode & PERMISSION_BITS) | (type === 'directory' ? 0o700 : 0o600);
}
