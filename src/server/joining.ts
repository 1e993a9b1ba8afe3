import type { Clock } from '../clock.ts';
import { SealiftError, toSealiftError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { isWireErrorCode } from '../protocol/wire-errors.ts';
import type { Random } from '../random.ts';
import { signClientRequest, type RequestSigner } from '../trust/ca/client-request.ts';
import type { Principal } from '../trust/grant.ts';
import { certificatesIn } from '../trust/pem.ts';
import { certificatePin } from '../trust/pins.ts';
import type { Principals } from '../trust/principals.ts';
import { signerKey } from '../trust/private-key.ts';
import { redeemJoinCode } from '../trust/redeem-join-code.ts';
import { hashToken, newToken } from '../trust/tokens.ts';

/** What a client comes with to join. */
export interface JoinOffer {
  code: string;
  /** Its request for a certificate (PKCS#10, PEM), if it wants one. */
  certificateRequest?: string | undefined;
  /** Lets the client in as the principal: before the code is spent, and whatever it throws keeps it valid. */
  letIn: (principal: Principal) => Promise<void>;
}

/** What the client logs in with from now on. It is told this once. */
export interface Joined {
  token: string;
  /** PEM: its certificate, and that of the authority behind it. */
  certificate?: string | undefined;
}

export interface JoiningOptions {
  usersFile: string;
  /** Whoever signs certificates for clients. */
  signer: RequestSigner | undefined;
  clock: Clock;
  random: Random;
  logger: Logger;
}

/** How long a certificate is valid that a client gets when it joins, in days. */
const CERTIFICATE_DAYS = 397;

/**
 * Exchanges the join code of `principal`, and answers who stands in the users file then; undefined if somebody else was faster. Throws
 * `unsupported` for a request for a certificate that nobody here can sign, `bad-request` for one that is none, and
 * `busy` where the users file cannot be changed, which the log explains. Whatever it throws, the code stays valid.
 */
export async function exchangeJoinCode(
  principal: Principal,
  { code, certificateRequest }: JoinOffer,
  options: JoiningOptions,
): Promise<{ joined: Joined; principals: Principals } | undefined> {
  const { usersFile, random, logger } = options;
  const { name } = principal;
  try {
    const certificate = await signedFor(name, certificateRequest, options);
    const token = newToken(random);
    const pin = certificate === undefined ? undefined : certificatePin(Buffer.from(certificate));
    const redemption = { tokenHash: hashToken(token), certificatePin: pin };
    const principals = await redeemJoinCode(usersFile, code, redemption, options);
    return principals === undefined ? undefined : { joined: { token, certificate }, principals };
  } catch (cause) {
    const { code: problem, message: reason, hint } = toSealiftError(cause);
    if (isWireErrorCode(problem)) throw cause;
    logger.error({ principal: name, reason, hint }, 'a client cannot join');
    const message = 'The server cannot take note of who joins; its log says why. The join code stays valid.';
    throw new SealiftError('busy', message, { cause });
  }
}

/** Who signs, of PEM texts; `file` is the name of the key for messages. Throws `bad-configuration` unless the key is that of the first authority. */
export function clientSigner(
  { ca, key, passphrase }: RequestSigner,
  { caFile, keyFile }: { caFile: string; keyFile: string },
): RequestSigner {
  const [authority] = certificatesIn(ca, caFile);
  if (authority.checkPrivateKey(signerKey(key, keyFile, passphrase)))
    return { ca: authority.toString(), key, passphrase };
  throw new SealiftError(
    'bad-configuration',
    `${keyFile} is not the key of the first certificate in ${caFile}.`,
  );
}

async function signedFor(
  name: string,
  request: string | undefined,
  { signer, clock, random }: JoiningOptions,
): Promise<string | undefined> {
  if (request === undefined) return undefined;
  if (signer !== undefined)
    return signClientRequest(signer, request, { name, days: CERTIFICATE_DAYS, clock, random });
  throw new SealiftError('unsupported', 'This server hands out no certificates; join without one.');
}
