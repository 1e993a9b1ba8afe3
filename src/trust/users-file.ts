import { systemClock } from '../clock.ts';
import { isSealiftError, SealiftError } from '../errors.ts';
import { shellWord } from '../shell-word.ts';
import type { FileLockOptions } from './file-lock.ts';
import { hasLogin, parsePrincipals, principalTables, type Principals } from './principals.ts';
import { updatePrivateFile } from './private-file.ts';
import { editedUsers, type PrincipalTable, type PrincipalTables } from './users-text.ts';

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
    const after = edited(before, users, change, file);
    parsePrincipals(after, file);
    return after === before ? undefined : after;
  };
  return parsePrincipals(
    (await updatePrivateFile(file, update, { ...options, isForServer: true })) ?? '',
    file,
  );
}

/** Changes the table of one principal, or with undefined takes it out. Throws `local-not-found` if it does not stand there. */
export async function changePrincipal(
  file: string,
  name: string,
  change: (table: PrincipalTable) => PrincipalTable | undefined,
  options: FileLockOptions = {},
): Promise<void> {
  await updateUsers(
    file,
    ({ tables }) => {
      const table = tables.get(name);
      if (table === undefined) throw unknownPrincipal(name, file);
      const remaining = new Map(tables);
      const changed = change(table);
      if (changed === undefined) remaining.delete(name);
      else remaining.set(name, changed);
      return remaining;
    },
    options,
  );
}

function unknownPrincipal(name: string, file: string): SealiftError {
  return new SealiftError('local-not-found', `${file} has no principal ${JSON.stringify(name)}.`, {
    hint: `sealift token list --users ${shellWord(file)} tells those there are.`,
  });
}

// That an expired code cannot be taken out of an operator's file is no reason to refuse what is asked for.
function edited(text: string, users: Users, change: (users: Users) => PrincipalTables, file: string): string {
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
