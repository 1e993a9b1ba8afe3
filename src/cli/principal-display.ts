import type { Principal } from '../trust/grant.ts';
import type { Credentials } from '../trust/principal-fields.ts';
import type { Principals } from '../trust/principals.ts';
import { printable } from './escape.ts';
import type { EventFields, Terminal } from './terminal.ts';

/** Lists principals: what they may do, and how they log in. No secret stands among it, nor the hash of one. */
export function tellPrincipals(terminal: Terminal, principals: Principals): void {
  const rows = [['NAME', 'PERMISSIONS', 'PATHS', 'EXPIRES', 'LOGS IN WITH']];
  for (const principal of principals) {
    const credentials = principals.credentialsOf(principal.name);
    if (credentials === undefined) continue;
    terminal.event('principal', eventFields(principal, credentials));
    rows.push(row(principal, credentials));
  }
  if (terminal.options.json) return;
  if (rows.length === 1) terminal.note('Nobody may log in by a users file.');
  else for (const line of aligned(rows)) terminal.data(printable(line));
}

function eventFields(principal: Principal, { tokens, pins, issued, names, join }: Credentials): EventFields {
  const { name, permissions, prefixes, expiresMs, addresses, ...limits } = principal;
  return {
    name,
    permissions: [...permissions],
    prefixes,
    ...(expiresMs === undefined ? {} : { expires: isoText(expiresMs) }),
    ...limits,
    ...(addresses === undefined ? {} : { addresses: addresses.networks }),
    tokens: tokens.length,
    pins,
    issued,
    names,
    ...(join === undefined ? {} : { joinExpires: isoText(join.expiresMs) }),
  };
}

function row({ name, permissions, prefixes, expiresMs }: Principal, credentials: Credentials): string[] {
  return [
    name,
    [...permissions].join(',') || 'none',
    prefixes.includes('') ? 'all' : prefixes.join(','),
    expiresMs === undefined ? 'never' : isoText(expiresMs),
    logins(credentials).join(', ') || 'nothing',
  ];
}

function logins({ tokens, pins, issued, names, join }: Credentials): string[] {
  const counted = (count: number, what: string) => (count === 1 ? [what] : [`${what} ×${count}`]);
  return [
    ...(tokens.length === 0 ? [] : counted(tokens.length, 'token')),
    ...(pins.length === 0 ? [] : counted(pins.length, 'pin')),
    ...(issued.length === 0 ? [] : counted(issued.length, 'issued certificate')),
    ...names.map((name) => `certificate ${name}`),
    ...(join === undefined ? [] : [`join code until ${isoText(join.expiresMs)}`]),
  ];
}

/** Each column as wide as its widest cell. */
function aligned(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  return rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function isoText(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}
