import { probeTls, type TlsProbeOptions, type TlsSight } from '../transport/probe.ts';

/** What a server lets pass, besides what it prefers. What could not be found out is null. */
export interface TlsHabits {
  /** Older versions that it accepts, as in `TLSv1.2`. */
  olderVersions: string[];
  /** Whether it answered to all of them, if only with a refusal. */
  areVersionsTried: boolean;
  /** Whether it resumed a session. */
  resumption: boolean | null;
  /** Whether it turns down who offers no protocol, or a wrong one. */
  alpnEnforced: boolean | null;
}

const OLDER = ['TLSv1.2', 'TLSv1.1', 'TLSv1'] as const;

/** Old versions may be had with old suites only, which Node would not offer. */
const ALL_CIPHERS = 'ALL:COMPLEMENTOFALL';

/** A protocol that nobody speaks. */
const WRONG_ALPN = 'sealift-doctor-no-such-protocol';

/** Tries one thing after the other, on a connection each, against a server that was seen already. */
export async function tlsHabits(options: TlsProbeOptions, seen: TlsSight): Promise<TlsHabits> {
  const olderVersions: string[] = [];
  const attempts: [TlsProbeOptions, TlsSight][] = [[options, seen]];
  let areVersionsTried = true;
  for (const version of OLDER) {
    if (version >= (seen.peer?.tlsVersion ?? '')) continue;
    const attempt = { ...options, minVersion: version, maxVersion: version, ciphers: ALL_CIPHERS };
    const sight = await probeTls(attempt);
    attempts.push([attempt, sight]);
    // Who has shown a certificate has agreed on the version, whatever follows.
    if (sight.peer !== undefined) olderVersions.push(version);
    else areVersionsTried &&= isRefused(sight);
  }
  return {
    olderVersions,
    areVersionsTried,
    resumption: await resumes(attempts.filter(([, sight]) => sight.peer !== undefined || !isRefused(sight))),
    alpnEnforced: await enforcesAlpn(options, seen),
  };
}

/** Whether it resumes a session of any version that it may speak. */
async function resumes(attempts: readonly [TlsProbeOptions, TlsSight][]): Promise<boolean | null> {
  let isResumed: false | null = false;
  for (const [options, { session, isSessionless }] of attempts) {
    // Without a session there is nothing to resume; it may yet come, and none is given to who is turned away.
    const { isComplete, peer } =
      session === undefined ? { isComplete: isSessionless } : await probeTls({ ...options, session });
    if (peer?.isResumed === true) return true;
    if (!isComplete) isResumed = null;
  }
  return isResumed;
}

async function enforcesAlpn(options: TlsProbeOptions, seen: TlsSight): Promise<boolean | null> {
  // Who is turned away with the right protocol learns nothing from being turned away with another.
  if (seen.peer?.alpn === undefined || !isThrough(seen)) return null;
  let isEnforced: true | null = true;
  for (const alpn of [[], [WRONG_ALPN]]) {
    const sight = await probeTls({ ...options, alpn });
    if (isThrough(sight)) return false;
    if (!sight.isComplete && !isRefused(sight)) isEnforced = null;
  }
  return isEnforced;
}

// Who is turned away only for want of a certificate would have got through.
function isThrough(sight: TlsSight): boolean {
  return sight.peer !== undefined && (!isTurnedAway(sight) || complainsOfCertificate(sight.failure));
}

/** Whether it answered to what was offered, and would not have it. An old version it may well answer in its own. */
function isRefused({ failure }: TlsSight): boolean {
  return ['tls-refused', 'alpn-refused', 'not-tls'].includes(failure?.code ?? '');
}

/** Whether the server ended the connection, in the handshake or right behind it. */
export function isTurnedAway({ failure, hasEnded, isAccepted }: TlsSight): boolean {
  return !isAccepted && (failure !== undefined || hasEnded);
}

/** Whether the server ended the handshake because of the client certificate, be it that it saw none. Which alert says so is left to it (RFC 5246, 7.4.6). */
export function complainsOfCertificate(failure: TlsSight['failure']): boolean {
  return /alert (?:.*certificate|unknown ca|access denied|handshake failure)/.test(failure?.message ?? '');
}
