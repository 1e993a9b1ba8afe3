import type { FileLockOptions } from './file-lock.ts';
import { changePrincipal } from './users-file.ts';
import type { PrincipalTable } from './users-text.ts';

/** Takes a principal out of a users file, with all that it could log in with. Throws `local-not-found` if it does not stand there. */
export async function revokePrincipal(
  file: string,
  name: string,
  options: FileLockOptions = {},
): Promise<void> {
  await changePrincipal(file, name, () => undefined, options);
}

/** Takes all tokens from a principal but the newest, which stands first; answers how many. Throws `local-not-found` if it does not stand in the file. */
export async function revokeOlderTokens(
  file: string,
  name: string,
  options: FileLockOptions = {},
): Promise<number> {
  let count = 0;
  const keepNewest = (table: PrincipalTable) => {
    const { tokens = [] } = table as { tokens?: string[] };
    count = Math.max(0, tokens.length - 1);
    return count === 0 ? table : { ...table, tokens: tokens.slice(0, 1) };
  };
  await changePrincipal(file, name, keepNewest, options);
  return count;
}
