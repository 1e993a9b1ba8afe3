import type { Entry } from './store.ts';

/** The bits of a mode that this project knows of: setuid, setgid and sticky are neither shown nor set. */
export const PERMISSION_BITS = 0o777;

/**
 * The permission bits that something gets of which `mode` is asked: just these, and reading for its owner, who is
 * the server process: a file that it could not read would be lost to everybody, and a directory that it could not
 * enter and list with all in it. Writing it needs only while something is put, moved or removed there.
 */
export function keptMode(type: Entry['type'], mode: number): number {
  return (mode & PERMISSION_BITS) | (type === 'directory' ? 0o500 : 0o400);
}
