import type { Permission } from '../protocol/responses.ts';
import type { AddressList } from '../transport/address-list.ts';

/** What a client may do here, and how much of it. What is undefined has no limit of its own. */
export interface Grant {
  readonly permissions: ReadonlySet<Permission>;
  /** The paths that may be touched, each with all that is below it; none lies within another. `""` is everything. */
  readonly prefixes: readonly string[];
  /** The directory in which its paths begin: absolute, or relative to the one that is served. */
  readonly root?: string | undefined;
  /** Bytes that may lie under the prefixes, whoever put them there; kept versions count. */
  readonly quotaBytes?: number | undefined;
  /** Files that may lie there, counted likewise. */
  readonly quotaFiles?: number | undefined;
  readonly maxFileBytes?: number | undefined;
  /** Bytes of content a second, of all its connections together, each way. */
  readonly bytesPerSecond?: number | undefined;
  /** Connections at once. */
  readonly maxConnections?: number | undefined;
  /** When it ends, in milliseconds since 1970. */
  readonly expiresMs?: number | undefined;
  /** Where it may be used from. */
  readonly addresses?: AddressList | undefined;
}

/** Whom a connection speaks for. */
export interface Principal extends Grant {
  readonly name: string;
}

/** A grant of everything that `permissions` allow, without limits. */
export function unlimitedGrant(permissions: Iterable<Permission>): Grant {
  return { permissions: new Set(permissions), prefixes: [''] };
}
