import { throwIfAborted, type Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import type { Peer } from '../transport/peer.ts';
import type { ClientAuthorities } from '../trust/client-trust.ts';
import type { Grant, Principal } from '../trust/grant.ts';
import {
  authenticate,
  identify,
  type AuthenticationOptions,
  type Identity,
  type Offered,
} from './authentication.ts';
import type { Joined } from './joining.ts';
import type { PrincipalConnection, PrincipalConnections } from './principal-connections.ts';
import type { EnteredRoot, ServedRoot, ServedRoots } from './served-roots.ts';

/** By what a client is judged, and what it is let into. */
export interface LoginParts {
  authentication: AuthenticationOptions;
  principals: PrincipalConnections;
  roots: ServedRoots;
  clock: Clock;
}

/** The other side of a connection, as TLS has left it. */
export interface SecuredPeer {
  peer: Peer;
  /** Who vouched for its certificate when the TLS layer asked: files may be read anew between the handshake and the hello. */
  authorities: ClientAuthorities | undefined;
}

/** What a client takes, and gives back when it leaves. */
interface Stay {
  /** Whom it was let in as, and into which root of its own. */
  as: { principal: string | null; root: string | undefined };
  /** Its place among the connections of the principal; none for the anonymous. */
  place: PrincipalConnection | undefined;
  entered: EnteredRoot;
}

/** How a client was let in. */
interface Admission {
  /** What says who it is from now on. */
  offered: Offered;
  stay: Stay;
}

/** A client that was let in: whom it speaks for, as of the last time it was judged. */
export class Login {
  /** What its join code was exchanged for. */
  readonly joined: Joined | undefined;
  readonly #parts: LoginParts;
  readonly #secured: SecuredPeer;
  readonly #admission: Admission;
  #identity: Identity;
  #cancelEnd: () => void = () => undefined;

  private constructor(
    parts: LoginParts,
    secured: SecuredPeer,
    admission: Admission,
    { identity, joined }: { identity: Identity; joined: Joined | undefined },
  ) {
    this.#parts = parts;
    this.#secured = secured;
    this.#admission = admission;
    this.#identity = identity;
    this.joined = joined;
  }

  /**
   * Lets a client in that says `hello`; `signal` tells that it is gone. Throws `unauthenticated`, `rate-limited`, `busy`,
   * or what opening its root throws. Who was vouched for by other authorities than now has to be judged again at once.
   */
  static async begin(
    parts: LoginParts,
    secured: SecuredPeer,
    hello: Offered,
    signal: AbortSignal,
  ): Promise<Login> {
    const { authentication } = parts;
    const taken: { stay?: Stay } = {};
    const letIn = async ({ name, ...grant }: Principal) => {
      taken.stay = await beginStay(parts, name, grant);
      // Nobody would be told what the code is exchanged for.
      throwIfAborted(signal);
    };
    try {
      const { offered, ...known } = await authenticate(authentication, secured.peer, hello, letIn);
      const { principal, grant } = known.identity;
      taken.stay ??= await beginStay(parts, principal, grant);
      assertStillMeans(known.identity, taken.stay.as);
      return new Login(parts, secured, { offered, stay: taken.stay }, known);
    } catch (error) {
      if (taken.stay !== undefined) endStay(taken.stay);
      throw error;
    }
  }

  get identity(): Identity {
    return this.#identity;
  }

  get root(): ServedRoot {
    return this.#admission.stay.entered.root;
  }

  /** Judges the client by what is trusted now, as if it came just now. Throws `unauthenticated` if it would not be let in, or to somewhere else. */
  judgeAgain(): void {
    const { offered, stay } = this.#admission;
    const identity = identify(this.#parts.authentication, this.#peerAsOfNow(), offered);
    assertStillMeans(identity, stay.as);
    // The TLS layer looked at dates in the handshake, and does not look again.
    if (this.#parts.clock.now() >= identity.endsMs)
      throw new SealiftError(
        'unauthenticated',
        'The client certificate, or an authority behind it, has expired.',
      );
    this.#identity = identity;
  }

  /** Calls `onEnd` when the identity as it is now ends by itself; the call before is taken back. */
  whenItEnds(onEnd: () => void): void {
    const { clock } = this.#parts;
    const { endsMs } = this.#identity;
    this.#cancelEnd();
    if (endsMs !== Infinity) this.#cancelEnd = clock.schedule(endsMs - clock.now(), onEnd);
  }

  /** See `PrincipalConnection.pace`. */
  pace(
    way: 'received' | 'sent',
    bytes: number,
    ending: Pick<AbortController, 'signal'>,
  ): Promise<void> | undefined {
    return this.#admission.stay.place?.pace(way, bytes, this.#identity.grant, ending);
  }

  /** May be called again. */
  leave(): void {
    this.#cancelEnd();
    endStay(this.#admission.stay);
  }

  // The TLS layer asks the authorities once. When others are trusted since, only who is theirs directly is known to be
  // vouched for still; everybody else comes again, and is asked for anew.
  #peerAsOfNow(): Peer {
    const now = this.#parts.authentication.trust().authorities;
    const { peer, authorities } = this.#secured;
    const { certificate, certificateProblem = 'its authority is not trusted any more' } = peer;
    if (now === authorities || certificate === undefined || now?.issued(certificate) === true) return peer;
    return { ...peer, certificateProblem };
  }
}

async function beginStay(
  { principals, roots }: LoginParts,
  principal: string | null,
  grant: Grant,
): Promise<Stay> {
  const place = principal === null ? undefined : principals.enter(principal, grant);
  try {
    return { as: { principal, root: grant.root }, place, entered: await roots.enter(grant.root) };
  } catch (error) {
    place?.leave();
    throw error;
  }
}

/** May be called again. */
function endStay({ entered, place }: Stay): void {
  entered.leave();
  place?.leave();
}

function assertStillMeans({ principal, grant }: Identity, as: Stay['as']): void {
  if (principal === as.principal && grant.root === as.root) return;
  throw new SealiftError('unauthenticated', 'The login has another meaning now.');
}
