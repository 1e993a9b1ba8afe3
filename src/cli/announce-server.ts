import { hostname } from 'node:os';

import { systemClock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import type { CreatedServer } from '../server/create-server.ts';
import type { Settings } from './settings.ts';
import { version } from './version.ts';

export interface Announcement {
  /** Says goodbye. */
  close(): Promise<void>;
}

/** Announces a server on the local network in the ways that the settings ask for; undefined: in none. Throws `usage` and `bad-configuration`. */
export async function announceServer(
  { announce: byMulticast, broadcast }: Settings,
  server: CreatedServer,
): Promise<Announcement | undefined> {
  if (byMulticast !== true && broadcast !== true) return undefined;
  const { address } = server;
  if ('path' in address)
    throw new SealiftError('usage', 'A Unix socket cannot be announced: nobody else reaches it.');
  // Loaded only where it is asked for.
  const { announce } = await import('../diagnostics/announce.ts');
  return announce(
    { hostname: hostname(), port: address.port, pin: () => server.pin, version: version() },
    {
      ways: [
        ...(byMulticast === true ? (['multicast'] as const) : []),
        ...(broadcast === true ? (['broadcast'] as const) : []),
      ],
      listenHost: address.host,
      clock: systemClock,
    },
  );
}
