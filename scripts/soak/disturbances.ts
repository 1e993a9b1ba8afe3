// What happens to a server and to the way to it while clients work.
import { setTimeout as sleep } from 'node:timers/promises';

import type { Random } from '../../src/random.ts';
import type { FaultProxy } from '../../src/transport/fault-proxy.ts';
import { between, pick } from '../../test/support/seeded.ts';
import type { TinyDisk } from '../../test/support/tiny-disk.ts';
import type { SoakedServer } from './soaked-server.ts';

const MIB = 2 ** 20;

export interface Disturbed {
  server: SoakedServer;
  proxy: FaultProxy;
  disk: TinyDisk | undefined;
  random: Random;
}

/** What may happen, by name. */
export type Disturbances = Readonly<Record<string, (disturbed: Disturbed) => Promise<void>>>;

/** Those of the way, and those that a server lives through. */
export const MILD: Disturbances = {
  reset: async ({ proxy }) => proxy.cutAll('rst'),
  'half close': async ({ proxy }) => proxy.cutAll('fin'),
  'cut after bytes': ({ proxy, random }) =>
    forAWhile(proxy, random, { cut: { afterBytes: between(random, 1, 4 * MIB), times: 3 } }),
  'slow link': ({ proxy, random }) =>
    forAWhile(proxy, random, { bytesPerSecond: 4 * MIB, latencyMs: 10, jitterMs: 10 }),
  pieces: ({ proxy, random }) => forAWhile(proxy, random, { splitBytes: between(random, 500, 5_000) }),
  stall: ({ proxy, random }) => forAWhile(proxy, random, { stallAfterBytes: between(random, 1, MIB) }),
  reload: async ({ server }) => server.reload(),
  'full disk': fullDisk,
};

/** Those that end the process. */
export const RESTARTS: Disturbances = {
  stop: async ({ server }) => {
    await server.stop();
    await server.start();
  },
  kill: async ({ server }) => {
    await server.kill();
    await server.start();
  },
};

/** Disturbs at random moments for so long, and tells each time. */
export async function disturb(
  disturbed: Disturbed,
  kinds: Disturbances,
  milliseconds: number,
  onDone: (kind: string) => void,
): Promise<void> {
  const { random, disk } = disturbed;
  const names = Object.keys(kinds).filter((kind) => kind !== 'full disk' || disk !== undefined);
  const endMs = performance.now() + milliseconds;
  for (;;) {
    const leftMs = endMs - performance.now();
    await sleep(Math.max(0, Math.min(leftMs, between(random, 50, 500))));
    if (performance.now() >= endMs) return;
    if (names.length === 0) continue;
    const kind = pick(random, names);
    await kinds[kind]?.(disturbed);
    onDone(kind);
  }
}

async function forAWhile(proxy: FaultProxy, random: Random, faults: FaultProxy['faults']): Promise<void> {
  proxy.faults = faults;
  await sleep(between(random, 100, 800));
  proxy.faults = {};
}

async function fullDisk({ disk, random }: Disturbed): Promise<void> {
  disk?.fill(between(random, 0, MIB));
  await sleep(between(random, 50, 300));
  disk?.empty();
}
