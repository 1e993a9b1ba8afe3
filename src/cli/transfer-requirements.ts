import { assertRequirements } from '../diagnostics/requirements.ts';
import { SealiftError } from '../errors.ts';
import type { Peer } from '../transport/peer.ts';
import { peerFacts, requirementsOf } from './requirements.ts';
import type { Settings } from './settings.ts';

/**
 * Turns a server down that is not as the settings require, for `ConnectOptions.accept`; undefined if they require
 * nothing of it. `place` is the server, for people. Throws `usage` for what a transfer does not measure.
 */
export function acceptance(settings: Settings, place: string): ((peer: Peer) => void) | undefined {
  const requirements = requirementsOf(settings).filter(({ fact }) => fact !== 'bytesPerSecond');
  if (requirements.length === 0) return undefined;
  const measured = requirements.find(({ fact }) => fact === 'handshakeMs' || fact === 'rttMs');
  if (measured !== undefined) {
    throw new SealiftError('usage', `A transfer does not measure what ${measured.text} asks for.`, {
      hint: 'sealift ping, doctor and bench do.',
    });
  }
  return (peer) => assertRequirements(requirements, peerFacts(peer), place);
}

/** Throws `condition-failed` unless the rate of a transfer, in bytes per second, is as the settings require. */
export function assertRate(settings: Settings, bytesPerSecond: number): void {
  const requirements = requirementsOf(settings).filter(({ fact }) => fact === 'bytesPerSecond');
  assertRequirements(requirements, { bytesPerSecond }, 'The transfer');
}
