import type { FileLockOptions } from './file-lock.ts';
import type { Principals } from './principals.ts';
import { updateUsers } from './users-file.ts';
import type { PrincipalTable } from './users-text.ts';

/** What a join code is exchanged for. */
export interface Redemption {
  /** `sha256:<hex>` of the lasting token. */
  tokenHash: string;
  /** The pin of the certificate that was handed out, if one was. */
  certificatePin?: string | undefined;
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

// A certificate is known by its key: by the name in it that of an earlier client would count again whose principal was
// revoked, once another one bears the name.
function redeemed(table: PrincipalTable, { tokenHash, certificatePin }: Redemption): PrincipalTable {
  const { join: _join, 'join-expires': _expires, ...rest } = table;
  const { tokens = [], issued = [] } = table as { tokens?: string[]; issued?: string[] };
  const isKnown = certificatePin === undefined || issued.includes(certificatePin);
  return {
    ...rest,
    tokens: [tokenHash, ...tokens],
    ...(isKnown ? {} : { issued: [certificatePin, ...issued] }),
  };
}
