import { join } from 'node:path';

import { STATE_DIRECTORY } from '../storage/own-names.ts';

/** Where a server that serves `root` keeps what is its own. */
export function statePaths(root: string): {
  /** The directory of all of it, and of what its store keeps. */
  own: string;
  /** By which one process at a time has the directory for itself. */
  lock: string;
  /** What it tells to commands that run beside it (listening-file.ts). */
  listening: string;
  /** The principals, unless the operator has a file for them. */
  users: string;
  /** The directory of the key pair that it makes. */
  identity: string;
} {
  const own = join(root, STATE_DIRECTORY);
  const at = (name: string) => join(own, name);
  return {
    own,
    lock: at('server.lock'),
    listening: at('listening.json'),
    users: at('users.toml'),
    identity: at('identity'),
  };
}
