import { probeTls, type TlsProbeOptions, type TlsSight } from '../transport/probe.ts';

/** What a server lets pass, besides what it prefers. What could not be found out is null. */
export interface TlsHabits {
  /** Older versions that it accepts, as in `TLSv1.2`. */
  olderVersions: string[];
  /** Whether it resumed a session. */
  resumption: boolean | null;
  /** Whether it turns down who offers no protocol, or a wrong one. */
  alpnEnforced: boolean | null;
}

const OLDER = ['TLSv1.2', 'TLSv1.1', 'TLSv1'] as const;

/** A protocol that nobody speaks. */
const WRONG_ALPN = 'sealift-doctor-no-such-protocol';

/** Tries one thing after the other, on a connection each, against a server that was seen already. */
export async function tlsHabits(options: TlsProbeOptions, seen: TlsSight): Promise<TlsHabits> {
  const passes = async (changes: Partial<TlsProbeOptions>) =>
    isThrough(await probeTls({ ...options, ...changes }));
  const olderVersions: string[] = [];
  for (const version of OLDER) {
    const isOlder = version !== seen.peer?.tlsVersion;
    if (isOlder && (await passes({ minVersion: version, maxVersion: version }))) olderVersions.push(version);
  }
  return {
    olderVersions,
    resumption: await resumes(options, seen),
    alpnEnforced:
      seen.peer?.alpn === undefined
        ? null
        : !((await passes({ alpn: [] })) || (await passes({ alpn: [WRONG_ALPN] }))),
  };
}

async function resumes(options: TlsProbeOptions, seen: TlsSight): Promise<boolean | null> {
  if (seen.session !== undefined) {
    const { peer } = await probeTls({ ...options, session: seen.session });
    return peer?.isResumed === true;
  }
  // Without a session there is nothing to resume, and none is given to who is turned away.
  return isTurnedAway(seen) ? null : false;
}

// Who is turned away only for want of a certificate would have got through.
function isThrough(sight: TlsSight): boolean {
  return sight.peer !== undefined && (!isTurnedAway(sight) || complainsOfCertificate(sight.failure));
}

/** Whether the server ended the connection, in the handshake or right behind it. */
export function isTurnedAway({ failure, hasEnded, isAccepted }: TlsSight): boolean {
  return !isAccepted && (failure !== undefined || hasEnded);
}

/** Whether the server ended the handshake because of the client certificate, be it that it saw none. Which alert says so is left to it (RFC 5246, 7.4.6). */
export function complainsOfCertificate(failure: TlsSight['failure']): boolean {
  return /alert (?:.*certificate|unknown ca|access denied|handshake failure)/.test(failure?.message ?? '');
}
