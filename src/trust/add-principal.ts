import { SealiftError } from '../errors.ts';
import type { FileLockOptions } from './file-lock.ts';
import type { Principal } from './grant.ts';
import { shellWord } from '../shell-word.ts';
import { isPrincipalName, type Principals } from './principals.ts';
import { changePrincipal, updateUsers } from './users-file.ts';
import type { PrincipalTable, PrincipalTables } from './users-text.ts';

export interface NewPrincipal {
  /** Default: the first free one of `client-1`, `client-2`, … */
  name?: string | undefined;
  /** What it may do and how it shows who it is, by the keys of the users file (principal-fields.ts). */
  fields: PrincipalTable;
}

/**
 * Adds a principal at the end of a users file, which need not exist. Answers the new principal, and all of them. Throws
 * `invalid-argument` for a name that no principal can have, `local-exists` for one that is taken, and
 * `bad-configuration` where the file or a field is faulty; then the file is unchanged.
 */
export async function addPrincipal(
  file: string,
  { name: wanted, fields }: NewPrincipal,
  options: FileLockOptions = {},
): Promise<{ principal: Principal; principals: Principals }> {
  if (wanted !== undefined && !isPrincipalName(wanted)) {
    throw new SealiftError('invalid-argument', `${JSON.stringify(wanted)} is no name for a principal.`, {
      hint: 'It has 1 to 64 of A-Z a-z 0-9 . _ @ -, and begins with a letter or digit.',
    });
  }
  let name = '';
  const principals = await updateUsers(
    file,
    ({ tables }) => {
      name = wanted ?? freeName(tables);
      if (tables.has(name)) {
        throw new SealiftError('local-exists', `${file} has a principal ${name} already.`, {
          hint: `To let it log in with one more token: sealift token add ${name} --another --users ${shellWord(file)}`,
        });
      }
      return new Map([...tables, [name, fields]]);
    },
    options,
  );
  return { principal: principals.byName(name) as Principal, principals };
}

/**
 * Lets a principal log in with one more token, or lets one more client join for it; a join code that waits for it
 * already is void then. Throws `local-not-found` if there is no such principal.
 */
export async function addCredential(
  file: string,
  name: string,
  credential: { token: string } | { join: string; 'join-expires': Date },
  options: FileLockOptions = {},
): Promise<void> {
  const add = (table: PrincipalTable) => {
    const { tokens = [] } = table as { tokens?: string[] };
    return { ...table, ...('token' in credential ? { tokens: [credential.token, ...tokens] } : credential) };
  };
  await changePrincipal(file, name, add, options);
}

function freeName(present: PrincipalTables): string {
  let number = 1;
  while (present.has(`client-${number}`)) number += 1;
  return `client-${number}`;
}
