import { userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';

import { SealiftError } from '../errors.ts';

/** Where this program keeps what is its own, by the XDG base directory specification. */
export interface Directories {
  config: string;
  state: string;
}

/** The directories of this user. A home that is not there shows only when something is to be written. Throws `bad-configuration`. */
export function userDirectories(environment: NodeJS.ProcessEnv = process.env): Directories {
  const home = () => absolute(environment['HOME']) ?? registeredHome();
  return {
    config: join(absolute(environment['XDG_CONFIG_HOME']) ?? join(home(), '.config'), 'sealift'),
    state: join(absolute(environment['XDG_STATE_HOME']) ?? join(home(), '.local', 'state'), 'sealift'),
  };
}

// The specification: what is not absolute is to be ignored. In the current directory anybody may have put a configuration,
// which says whom to trust and what to call.
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}

/** The home that the system knows for this user. */
function registeredHome(): string {
  const home = absolute(homeOfUser());
  if (home !== undefined) return home;
  throw new SealiftError('bad-configuration', 'This user has no home directory.', {
    hint: 'Set HOME to an absolute path.',
  });
}

// There are users, as in containers, of whom the system knows no more than the number.
function homeOfUser(): string | undefined {
  try {
    return userInfo().homedir;
  } catch {
    return undefined;
  }
}
