import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where this program keeps what is its own, by the XDG base directory specification. */
export interface Directories {
  config: string;
  state: string;
}

/** The directories of this user. A home that is not there shows only when something is to be written. */
export function userDirectories(environment: NodeJS.ProcessEnv = process.env): Directories {
  const home =
    environment['HOME'] === undefined || environment['HOME'] === '' ? homedir() : environment['HOME'];
  return {
    config: join(absolute(environment['XDG_CONFIG_HOME']) ?? join(home, '.config'), 'sealift'),
    state: join(absolute(environment['XDG_STATE_HOME']) ?? join(home, '.local', 'state'), 'sealift'),
  };
}

// The specification: what is not absolute is to be ignored.
function absolute(path: string | undefined): string | undefined {
  return path?.startsWith('/') === true ? path : undefined;
}
