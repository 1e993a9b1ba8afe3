import { SealiftError } from '../errors.ts';
import type { Principal } from './grant.ts';
import { canonicalJoinCode } from './join-codes.ts';
import { readPrincipal, type Credentials } from './principal-fields.ts';
import { tokenMatches } from './tokens.ts';
import { parseToml } from './toml.ts';

/** What a client certificate says, and whether that is to be believed. */
export interface PresentedCertificate {
  /** The pin of its key: the handshake has proved that the client holds it. */
  pin: string;
  /** The names in it (certificate-names.ts). */
  names: readonly string[];
  /** Whether an authority that this server trusts signed it; otherwise the names mean nothing. */
  caVerified: boolean;
}

/** The principals of a server, in the order of their file. */
export class Principals implements Iterable<Principal> {
  readonly #entries: ReadonlyMap<string, Entry>;

  constructor(entries: ReadonlyMap<string, Entry>) {
    this.#entries = entries;
  }

  /** The principal of that name. */
  byName(name: string): Principal | undefined {
    return this.#entries.get(name)?.principal;
  }

  /** How the principal of that name shows who it is. */
  credentialsOf(name: string): Credentials | undefined {
    return this.#entries.get(name)?.credentials;
  }

  /** How many have something to log in with. A join code is nothing of that kind yet. */
  get loginCount(): number {
    return [...this.#entries.values()].filter(({ credentials }) => hasLogin(credentials)).length;
  }

  /** The principal that `token` belongs to. Always compares with every hash: the time taken tells nothing. */
  byToken(token: string): Principal | undefined {
    let found: Principal | undefined;
    for (const { principal, credentials } of this.#entries.values()) {
      for (const hash of credentials.tokens) if (tokenMatches(token, hash)) found = principal;
    }
    return found;
  }

  /** The principal whose join code `code` is, as a person may type it, and that may use it at `nowMs`. Always compares with every hash. */
  byJoinCode(code: string, nowMs: number): Principal | undefined {
    const presented = canonicalJoinCode(code);
    let found: Principal | undefined;
    for (const { principal, credentials } of this.#entries.values()) {
      const { join } = credentials;
      if (join !== undefined && tokenMatches(presented, join.hash) && nowMs < join.expiresMs)
        found = principal;
    }
    return found;
  }

  /**
   * The principal that a client certificate belongs to: by its key; else, if an authority vouches for it, the one to whom
   * it was issued, or the first in the file that has one of its names. Names are compared without regard to letter case.
   * `isPinned`: by its key alone, whoever vouches for it.
   */
  byCertificate({
    pin,
    names,
    caVerified,
  }: PresentedCertificate): { principal: Principal; isPinned: boolean } | undefined {
    const entries = [...this.#entries.values()];
    const byPin = entries.find(({ credentials }) => credentials.pins.includes(pin));
    if (byPin !== undefined) return { principal: byPin.principal, isPinned: true };
    if (!caVerified) return undefined;
    const presented = names.map((name) => name.toLowerCase());
    const vouchedFor =
      entries.find(({ credentials }) => credentials.issued.includes(pin)) ??
      entries.find(({ credentials }) => credentials.names.some((name) => presented.includes(name)));
    return vouchedFor && { principal: vouchedFor.principal, isPinned: false };
  }

  *[Symbol.iterator](): IterableIterator<Principal> {
    for (const { principal } of this.#entries.values()) yield principal;
  }
}

/**
 * Reads the text of a `--users` file, whose name `file` is for messages: a table `[principals.NAME]` each, with
 * `permissions`, and whatever else a principal may have (principal-fields.ts, grant.ts). It is
 * strict, because a misspelt key would quietly take away, or leave open, what was meant: whatever it does not know,
 * and a token, pin or name given twice, is `bad-configuration`.
 */
export function parsePrincipals(text: string, file: string): Principals {
  const entries = new Map<string, Entry>();
  for (const [name, table] of principalTables(text, file)) {
    if (!PRINCIPAL_NAME.test(name)) throw fault(file, `principals.${JSON.stringify(name)}`, NAME_RULE);
    const { grant, credentials } = readPrincipal(table, (field, problem) =>
      fault(file, `principals.${name}.${field}`, problem),
    );
    entries.set(name, { principal: { name, ...grant }, credentials });
  }
  refuseDuplicates(entries, file);
  return new Principals(entries);
}

/** The tables of a `--users` file by the names of their principals, as they stand there: nobody has judged what is in them. Throws `bad-configuration` for what is no such file at all. */
export function principalTables(text: string, file: string): Map<string, Record<string, unknown>> {
  const document = parseToml(text, file);
  const unknown = Object.keys(document).find((key) => key !== 'principals');
  if (unknown !== undefined) throw fault(file, JSON.stringify(unknown), 'is not a known key.');
  const all = Object.hasOwn(document, 'principals') ? document['principals'] : {};
  const tables = new Map<string, Record<string, unknown>>();
  for (const [name, table] of Object.entries(tableAt(all, file, 'principals')))
    tables.set(name, tableAt(table, file, `principals.${name}`));
  return tables;
}

/** Whether `name` can be a principal's. */
export function isPrincipalName(name: string): boolean {
  return PRINCIPAL_NAME.test(name);
}

/** Whether there is anything to log in with. */
export function hasLogin({ tokens, pins, issued, names }: Omit<Credentials, 'join'>): boolean {
  return [tokens, pins, issued, names].some((each) => each.length > 0);
}

interface Entry {
  principal: Principal;
  credentials: Credentials;
}

const PRINCIPAL_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
const NAME_RULE =
  'is no name for a principal: 1 to 64 of A-Z a-z 0-9 . _ @ -, beginning with a letter or digit.';

function tableAt(value: unknown, file: string, key: string): Record<string, unknown> {
  const isTable =
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
  if (!isTable) throw fault(file, key, 'is not a table.');
  return value as Record<string, unknown>;
}

function refuseDuplicates(entries: ReadonlyMap<string, Entry>, file: string): void {
  for (const field of ['tokens', 'pins', 'issued', 'names'] as const) {
    const owners = new Map<string, string>();
    for (const [name, { credentials }] of entries) {
      for (const value of credentials[field]) {
        const owner = owners.get(value);
        if (owner !== undefined)
          throw fault(file, `principals.${name}.${field}`, `repeats one of principals.${owner}.`);
        owners.set(value, name);
      }
    }
  }
}

function fault(file: string, key: string, problem: string): SealiftError {
  return new SealiftError('bad-configuration', `${file}: ${key} ${problem}`, {
    hint: `Mend ${key} in ${file}.`,
  });
}
