import type { FileLockOptions } from './file-lock.ts';
import type { Principals } from './principals.ts';
import { updateUsers } from './users-file.ts';
import type { PrincipalTable } from './users-text.ts';

/** What a join code is exchanged for. */
export interface Redemption {
  /** `sha256:<hex>` of the lasting token. */
  tokenHash: string;
  /** The name in the certificate that was handed out, if one was. */
  certificateName?: string | undefined;
}

/**
 * Exchanges a join code in a users file for what its principal can log in with from now on. Answers who stands in the
 * file then; undefined if the code is wrong, has expired, or was used: of two that come at once, one is first.
 */
export async function redeemJoinCode(
  file: string,
  code: string,
  redemption: Redemption,
  options: FileLockOptions = {},
): Promise<Principals | undefined> {
  let redeemer: string | undefined;
  const principals = await updateUsers(
    file,
    ({ tables, principals: present, nowMs }) => {
      redeemer = present.byJoinCode(code, nowMs)?.name;
      const table = redeemer === undefined ? undefined : tables.get(redeemer);
      if (redeemer === undefined || table === undefined) return tables;
      return new Map([...tables, [redeemer, redeemed(table, redemption)]]);
    },
    options,
  );
  return redeemer === undefined ? undefined : principals;
}

function redeemed(table: PrincipalTable, { tokenHash, certificateName }: Redemption): PrincipalTable {
  const { join: _join, 'join-expires': _expires, ...rest } = table;
  const { tokens = [], names = [] } = table as { tokens?: string[]; names?: string[] };
  const isNamed =
    certificateName === undefined ||
    names.some((name) => name.toLowerCase() === certificateName.toLowerCase());
  return {
    ...rest,
    tokens: [tokenHash, ...tokens],
    ...(isNamed ? {} : { names: [certificateName, ...names] }),
  };
}
