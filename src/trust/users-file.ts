import { systemClock } from '../clock.ts';
import { isSealiftError } from '../errors.ts';
import type { FileLockOptions } from './file-lock.ts';
import { hasLogin, parsePrincipals, principalTables, type Principals } from './principals.ts';
import { updatePrivateFile } from './private-file.ts';
import { editedUsers, type PrincipalTables } from './users-text.ts';

/** A users file as a change finds it. */
export interface Users {
  readonly tables: PrincipalTables;
  readonly principals: Principals;
  readonly nowMs: number;
}

/**
 * Changes a users file, which need not exist, in one step that no other process can come between, and answers who stands
 * in it afterwards. `change` answers the tables that are wanted, or throws, and nothing is changed then. Join codes
 * that have expired go with the first change that comes, and with them who had nothing else to log in with. Throws
 * `bad-configuration` where the file is faulty, or written in a way that cannot be edited (users-text.ts).
 */
export async function updateUsers(
  file: string,
  change: (users: Users) => PrincipalTables,
  options: FileLockOptions = {},
): Promise<Principals> {
  const nowMs = (options.clock ?? systemClock).now();
  const update = (before = '') => {
    const users = { tables: principalTables(before, file), principals: parsePrincipals(before, file), nowMs };
    const after = changed(before, users, change, file);
    parsePrincipals(after, file);
    return after === before ? undefined : after;
  };
  return parsePrincipals((await updatePrivateFile(file, update, options)) ?? '', file);
}

// That an expired code cannot be taken out of an operator's file is no reason to refuse what is asked for.
function changed(
  text: string,
  users: Users,
  change: (users: Users) => PrincipalTables,
  file: string,
): string {
  const remaining = withoutExpired(users);
  try {
    return editedUsers(text, change({ ...users, tables: remaining }), file);
  } catch (error) {
    if (!isSealiftError(error, 'bad-configuration')) throw error;
    return editedUsers(text, change(users), file);
  }
}

function withoutExpired({ tables, principals, nowMs }: Users): PrincipalTables {
  const remaining = new Map(tables);
  for (const [name, table] of tables) {
    const credentials = principals.credentialsOf(name);
    if (credentials?.join === undefined || nowMs < credentials.join.expiresMs) continue;
    const { join: _join, 'join-expires': _expires, ...rest } = table;
    if (hasLogin(credentials)) remaining.set(name, rest);
    else remaining.delete(name);
  }
  return remaining;
}
