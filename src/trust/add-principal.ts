import { SealiftError } from '../errors.ts';
import type { Permission } from '../protocol/responses.ts';
import type { FileLockOptions } from './file-lock.ts';
import { isPrincipalName, parsePrincipals, type Principal, type Principals } from './principals.ts';
import { updatePrivateFile } from './private-file.ts';

export interface NewPrincipal {
  /** Default: the first free one of `client-1`, `client-2`, … */
  name?: string;
  permissions: Iterable<Permission>;
  /** `sha256:<hex>` of the token it will present. */
  tokenHash: string;
}

/**
 * Adds a principal at the end of the `--users` file, which need not exist, in one step: what stands there stays as it
 * is, comments too. Answers the new principal, and all of them. Throws `bad-configuration` where the file is faulty
 * or has a principal of that name already, and `invalid-argument` for a name that no principal can have; then the
 * file is unchanged.
 */
export async function addPrincipal(
  file: string,
  { name: wanted, permissions, tokenHash }: NewPrincipal,
  options: FileLockOptions = {},
): Promise<{ principal: Principal; principals: Principals }> {
  if (wanted !== undefined && !isPrincipalName(wanted)) {
    throw new SealiftError('invalid-argument', `${JSON.stringify(wanted)} is no name for a principal.`);
  }
  let name = wanted ?? '';
  const text = await updatePrivateFile(
    file,
    (before = '') => {
      const present = parsePrincipals(before, file);
      name = wanted ?? freeName(present);
      if (present.byName(name))
        throw new SealiftError('bad-configuration', `${file} has a principal ${name} already.`);
      return appended(before, tableOf(name, permissions, tokenHash), file);
    },
    options,
  );
  const principals = parsePrincipals(text ?? '', file);
  return { principal: principals.byName(name) as Principal, principals };
}

function freeName(present: Principals): string {
  let number = 1;
  while (present.byName(`client-${number}`)) number += 1;
  return `client-${number}`;
}

function tableOf(name: string, permissions: Iterable<Permission>, tokenHash: string): string {
  const key = /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name);
  const list = (items: Iterable<string>) => `[${[...items].map((item) => JSON.stringify(item)).join(', ')}]`;
  return `[principals.${key}]\npermissions = ${list(permissions)}\ntokens = ${list([tokenHash])}\n`;
}

function appended(before: string, table: string, file: string): string {
  const gap = before === '' ? '' : before.endsWith('\n') ? '\n' : '\n\n';
  const after = `${before}${gap}${table}`;
  try {
    parsePrincipals(after, file);
    return after;
  } catch (cause) {
    // Such as `principals = { … }`, which no table can follow.
    throw new SealiftError('bad-configuration', `No principal can be added at the end of ${file}.`, {
      cause,
      hint: 'Write each principal as a table of its own: [principals.NAME].',
    });
  }
}
