import type { Option } from 'commander';

import { systemClock } from '../clock.ts';
import { toSealiftError, type SealiftError } from '../errors.ts';
import {
  assertRequirements,
  parseRequirement,
  type ObservedFacts,
  type Requirement,
} from '../diagnostics/requirements.ts';
import type { Peer } from '../transport/peer.ts';
import { certificateFacts } from '../trust/certificate-facts.ts';
import { repeatableSetting, type Settings } from './settings.ts';

/** The option of commands that can be told what has to hold. */
export function requireSetting(): Option {
  return repeatableSetting(
    '--require <condition>',
    'fail unless this holds, as tls>=1.3, cert-days>=14 or rtt<=20ms (repeatable)',
    (text) => parseRequirement(text).text,
  );
}

/** The conditions that the settings ask for. */
export function requirementsOf({ require = [] }: Settings): Requirement[] {
  return (require as readonly string[]).map(parseRequirement);
}

/** The failure `condition-failed` if not all that the settings ask for holds of what was observed at `place`. */
export function unmetRequirement(
  settings: Settings,
  observed: ObservedFacts,
  place: string,
): SealiftError | undefined {
  try {
    assertRequirements(requirementsOf(settings), observed, place);
    return undefined;
  } catch (error) {
    return toSealiftError(error);
  }
}

/** What a connection has shown of the server, for conditions. */
export function peerFacts(peer: Peer | undefined): ObservedFacts {
  if (peer === undefined) return {};
  const { tlsVersion: tls, cipher, group, alpn, certificate } = peer;
  const { daysLeft: certDays, pin } =
    certificate === undefined
      ? { daysLeft: undefined, pin: undefined }
      : certificateFacts(certificate, systemClock);
  return { tls, cipher, group, alpn, certDays, pin };
}
