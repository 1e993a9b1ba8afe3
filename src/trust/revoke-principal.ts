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

/** Takes all tokens from a principal but the newest, which stands first, and all certificates that were issued to it but the newest; answers how many tokens. Throws `local-not-found` if it does not stand in the file. */
export async function revokeOlderTokens(
  file: string,
  name: string,
  options: FileLockOptions = {},
): Promise<number> {
  let count = 0;
  const keepNewest = (table: PrincipalTable) => {
    const { tokens = [], issued = [] } = table as { tokens?: string[]; issued?: string[] };
    count = Math.max(0, tokens.length - 1);
    if (count === 0) return table;
    const [newest] = issued;
    return { ...table, tokens: tokens.slice(0, 1), ...(newest === undefined ? {} : { issued: [newest] }) };
  };
  await changePrincipal(file, name, keepNewest, options);
  return count;
}
