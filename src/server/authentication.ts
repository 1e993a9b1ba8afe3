import type { X509Certificate } from 'node:crypto';

import type { Clock } from '../clock.ts';
import { isSealiftError, SealiftError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { PERMISSIONS, type Permission } from '../protocol/responses.ts';
import { chainOf, type Peer } from '../transport/peer.ts';
import { certificateNames } from '../trust/certificate-names.ts';
import type { ClientAuthorities, ClientTrust } from '../trust/client-trust.ts';
import { unlimitedGrant, type Grant, type Principal } from '../trust/grant.ts';
import { certificatePin } from '../trust/pins.ts';
import { trustPath } from '../trust/trust-path.ts';
import type { FailedLogins } from './failed-logins.ts';
import type { Joined, JoinOffer } from './joining.ts';

/** Whom a connection speaks for. */
export interface Identity {
  /** null: anonymous. */
  principal: string | null;
  grant: Grant;
  /** When it ends by itself, in milliseconds since 1970. */
  endsMs: number;
}

/** What an anonymous client may do. */
export type AnonymousAccess = 'none' | 'read' | 'write';

/** By what a client wants to be known, besides the certificate that it presented. */
export interface Offered {
  token?: string | undefined;
  join?: string | undefined;
  /** For a certificate, beside the token that `join` is exchanged for. */
  certificateRequest?: string | undefined;
}

export interface AuthenticationOptions {
  /** What clients are judged by now. */
  trust: () => ClientTrust;
  anonymous: AnonymousAccess;
  /** Nobody may change anything, whatever else was granted. */
  readOnly: boolean;
  /** Exchanges a join code for a lasting token; undefined if the code is wrong. The principal is known by the token from then on. */
  join: ((offer: JoinOffer) => Promise<Joined | undefined>) | undefined;
  failedLogins: FailedLogins;
  clock: Clock;
  logger: Logger;
}

const ANONYMOUS: Record<Exclude<AnonymousAccess, 'none'>, Grant> = {
  read: unlimitedGrant(['read', 'list']),
  write: unlimitedGrant(PERMISSIONS),
};
const CHANGES_NOTHING: ReadonlySet<Permission> = new Set(['read', 'list']);

/**
 * Judges a hello. A token or a join code that is offered has to be right: a wrong one is never overlooked because
 * something else would do. `letIn` is for who joins, whose code is not spent if that fails. Throws `unauthenticated` or
 * `rate-limited`, and what joining throws.
 */
export async function authenticate(
  options: AuthenticationOptions,
  peer: Peer,
  offered: Offered,
  letIn: JoinOffer['letIn'],
): Promise<{ identity: Identity; offered: Offered; joined: Joined | undefined }> {
  const { failedLogins, logger } = options;
  // A certificate cannot be guessed, and neither it nor a stranger has to wait.
  const secret = offered.token ?? offered.join;
  if (secret !== undefined) failedLogins.assertMayTry(peer.address, secret);
  try {
    const joined = await join(options, peer, offered, letIn);
    const known = joined ?? offered;
    const identity = identify(options, peer, known);
    if (known.token !== undefined) failedLogins.recordRight(peer.address, known.token);
    return { identity, offered: known, joined };
  } catch (error) {
    if (!isSealiftError(error, 'unauthenticated')) throw error;
    if (secret !== undefined) failedLogins.record(peer.address);
    logger.warn({ address: peer.address, reason: error.message }, 'login refused');
    throw error;
  }
}

/**
 * Whom `peer` speaks for by what is trusted now: at its login, and again whenever that has changed. Throws
 * `unauthenticated`.
 */
export function identify(options: AuthenticationOptions, peer: Peer, { token }: Offered): Identity {
  const { principals } = options.trust();
  assertNotRevoked(options, peer);
  if (token === undefined) return byCertificate(options, peer) ?? anonymous(options, peer);
  const found = principals.byToken(token);
  if (found === undefined) throw refused('The token is not valid here.');
  return identityOf(options, peer, found, Infinity);
}

// The code is spent once it was redeemed; from then on the token says who it is.
async function join(
  options: AuthenticationOptions,
  peer: Peer,
  { token, join: code, certificateRequest }: Offered,
  letIn: JoinOffer['letIn'],
): Promise<Joined | undefined> {
  if (code === undefined || token !== undefined) return undefined;
  assertNotRevoked(options, peer);
  const letInIfUsable = async (principal: Principal) => {
    assertUsable(options, peer, principal);
    await letIn(principal);
  };
  const joined = await options.join?.({ code, certificateRequest, letIn: letInIfUsable });
  if (joined === undefined) throw refused('The join code is wrong, was used before, or has expired.');
  return joined;
}

function assertNotRevoked({ trust }: AuthenticationOptions, { certificate }: Peer): void {
  const { authorities, revocations } = trust();
  if (certificate === undefined || revocations === undefined) return;
  if (revocations.isRevoked(certificate)) throw refused('The client certificate was revoked.');
  // Through which of them the TLS layer came to trust the certificate it does not tell: none may be revoked.
  const [, ...issuers] = authorities?.completed(chainOf(certificate)) ?? [];
  // One that issued itself is trusted by the operator or not at all; its own list cannot say.
  if (issuers.some((issuer) => revocations.isRevoked(issuer) && !issuer.checkIssued(issuer)))
    throw refused('An authority behind the client certificate was revoked.');
}

function byCertificate(options: AuthenticationOptions, peer: Peer): Identity | undefined {
  const { certificate, certificateProblem } = peer;
  const { principals, authorities, trustsAuthorities } = options.trust();
  if (certificate === undefined) return undefined;
  // Without authorities of ours Node asks the public ones, which vouch for nobody here.
  const caVerified = authorities !== undefined && certificateProblem === undefined;
  const names = certificateNames(certificate);
  const pin = certificatePin(certificate);
  const found = principals.byCertificate({ pin, names, caVerified });
  // A pin says nothing of dates.
  if (found?.isPinned === true) return identityOf(options, peer, found.principal, Infinity);
  if (!caVerified) return undefined;
  // Others are vouched for until the first on the way to who vouches ends.
  const endsMs = firstEndMs(certificate, authorities, options.clock);
  if (found !== undefined) return identityOf(options, peer, found.principal, endsMs);
  const name = names[0];
  if (trustsAuthorities !== true || name === undefined) return undefined;
  return identityOf(options, peer, { name, ...unlimitedGrant(PERMISSIONS) }, endsMs);
}

function firstEndMs(certificate: X509Certificate, authorities: ClientAuthorities, clock: Clock): number {
  const [, ...sent] = chainOf(certificate);
  const { path } = trustPath([certificate, ...sent], authorities.certificates, clock);
  return Math.min(...path.map(({ validToDate }) => validToDate.getTime()));
}

function identityOf(
  options: AuthenticationOptions,
  peer: Peer,
  principal: Principal,
  credentialEndsMs: number,
): Identity {
  assertUsable(options, peer, principal);
  const { name, ...grant } = principal;
  return {
    principal: name,
    grant: restricted(options, grant),
    endsMs: Math.min(grant.expiresMs ?? Infinity, credentialEndsMs),
  };
}

function assertUsable(
  { clock }: AuthenticationOptions,
  { address }: Peer,
  { expiresMs = Infinity, addresses }: Principal,
): void {
  if (clock.now() >= expiresMs) throw refused('This login has expired.');
  if (addresses?.has(address) === false) throw refused('This login is not accepted from your address.');
}

function anonymous(options: AuthenticationOptions, { certificate, certificateProblem }: Peer): Identity {
  const { anonymous: access } = options;
  if (access !== 'none')
    return { principal: null, grant: restricted(options, ANONYMOUS[access]), endsMs: Infinity };
  if (certificate === undefined) throw refused('This server wants a token or a client certificate.');
  throw refused(
    `The client certificate is not accepted here${certificateProblem === undefined ? '' : ` (${certificateProblem})`}.`,
  );
}

function restricted({ readOnly }: AuthenticationOptions, grant: Grant): Grant {
  if (!readOnly) return grant;
  return {
    ...grant,
    permissions: new Set([...grant.permissions].filter((each) => CHANGES_NOTHING.has(each))),
  };
}

function refused(message: string): SealiftError {
  return new SealiftError('unauthenticated', message);
}
