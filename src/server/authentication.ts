import type { Logger } from '../logger.ts';
import { SealiftError } from '../errors.ts';
import { PERMISSIONS, type Permission } from '../protocol/responses.ts';
import type { Peer } from '../transport/peer.ts';
import { certificateNames } from '../trust/certificate-names.ts';
import { certificatePin } from '../trust/pins.ts';
import type { Principals } from '../trust/principals.ts';
import type { FailedLogins } from './failed-logins.ts';

/** Whom a connection speaks for. */
export interface Identity {
  /** null: anonymous. */
  principal: string | null;
  permissions: ReadonlySet<Permission>;
}

/** What an anonymous client may do. */
export type AnonymousAccess = 'none' | 'read' | 'write';

export interface AuthenticationOptions {
  /** The principals as they are now. */
  principals: () => Principals;
  anonymous: AnonymousAccess;
  /** Whether there is a client CA: without one Node asks the public ones, which vouch for nobody here. */
  hasClientCa: boolean;
  /** Whether a certificate that the client CA vouches for is enough by itself: then its first name is the principal. */
  trustsClientCa: boolean;
  /** Exchanges a join code for a lasting token and the name of the new principal; undefined if the code is wrong. */
  join: ((code: string) => Promise<{ token: string; name: string } | undefined>) | undefined;
  failedLogins: FailedLogins;
  logger: Logger;
}

const ANONYMOUS: Record<Exclude<AnonymousAccess, 'none'>, ReadonlySet<Permission>> = {
  read: new Set(['read', 'list']),
  write: new Set(PERMISSIONS),
};

/**
 * Judges a hello. A token or a join code that is offered has to be right: a wrong one is never overlooked because
 * something else would do. Throws `unauthenticated` or `rate-limited`.
 */
export async function authenticate(
  options: AuthenticationOptions,
  peer: Peer,
  offered: { token?: string; join?: string },
): Promise<Identity & { token?: string }> {
  const { failedLogins, logger } = options;
  failedLogins.assertMayTry(peer.address);
  const identity = await identify(options, peer, offered);
  if (!(identity instanceof SealiftError)) return identity;
  if (offered.token !== undefined || offered.join !== undefined) failedLogins.record(peer.address);
  logger.warn({ address: peer.address, reason: identity.message }, 'login refused');
  throw identity;
}

async function identify(
  options: AuthenticationOptions,
  peer: Peer,
  { token, join }: { token?: string; join?: string },
): Promise<(Identity & { token?: string }) | SealiftError> {
  const principals = options.principals();
  if (token !== undefined) {
    const found = principals.byToken(token);
    return found
      ? { principal: found.name, permissions: found.permissions }
      : refused('The token is not valid here.');
  }
  if (join !== undefined) {
    const joined = await options.join?.(join);
    const found = joined && options.principals().byName(joined.name);
    if (!found) return refused('The join code is wrong, was used before, or is older than 15 minutes.');
    return { principal: found.name, permissions: found.permissions, token: joined.token };
  }
  return byCertificate(options, peer) ?? anonymous(options, peer);
}

function byCertificate(
  options: AuthenticationOptions,
  { certificate, certificateProblem }: Peer,
): Identity | undefined {
  if (certificate === undefined) return undefined;
  const caVerified = options.hasClientCa && certificateProblem === undefined;
  const names = certificateNames(certificate);
  const found = options.principals().byCertificate({ pin: certificatePin(certificate), names, caVerified });
  if (found) return { principal: found.name, permissions: found.permissions };
  const name = names[0];
  if (!options.trustsClientCa || !caVerified || name === undefined) return undefined;
  return { principal: name, permissions: new Set(PERMISSIONS) };
}

function anonymous(
  { anonymous: access }: AuthenticationOptions,
  { certificate, certificateProblem }: Peer,
): Identity | SealiftError {
  if (access !== 'none') return { principal: null, permissions: ANONYMOUS[access] };
  if (certificate === undefined) return refused('This server wants a token or a client certificate.');
  return refused(
    `The client certificate is not accepted here${certificateProblem === undefined ? '' : ` (${certificateProblem})`}.`,
  );
}

function refused(message: string): SealiftError {
  return new SealiftError('unauthenticated', message);
}
