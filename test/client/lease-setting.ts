import { X509Certificate } from 'node:crypto';
import { onTestFinished } from 'vitest';

import type { Connector } from '../../src/client/connector.ts';
import { acquireLease, type Lease, type LeaseOptions } from '../../src/client/lease.ts';
import { systemClock } from '../../src/clock.ts';
import { systemRandom, type Random } from '../../src/random.ts';
import { startFaultProxy, type FaultProxy } from '../../src/transport/fault-proxy.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { loopbackCertificate } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { RawClient } from '../support/raw-client.ts';
import { startScriptedServer, type Script } from '../support/scripted-server.ts';
import { startTestServer, tokenOf } from '../support/test-server.ts';
import { connectorTo } from './setting.ts';

export const TTL_MS = 60_000;

/** Jitter that is none: every delay is as long as it may be. */
const noJitter: Random = { ...systemRandom, fraction: () => 1 };

export interface LeaseSetting {
  /** The time of the leases' holders alone. */
  clock: FakeClock;
  serverClock: FakeClock;
  proxy: FaultProxy;
  /** Takes the lease `nightly` of a minute over the proxy, as another run each time. */
  acquire(options?: LeaseOptions, login?: { token?: string }): Promise<Lease>;
  /** Somebody else, on a way of its own. */
  rival: RawClient;
  /** What the rival is answered who asks for the lease: `ok`, or the code. */
  rivalLocks(ttlMs?: number): Promise<unknown>;
}

/** A server with the principals `alice` and `bob`, the fault proxy before it, and `bob` as the rival. */
export async function startLeaseSetting(): Promise<LeaseSetting> {
  const [clock, serverClock] = [new FakeClock(), new FakeClock()];
  const options = { users: { alice: {}, bob: {} }, anonymous: 'write', idleTimeoutMs: 1e9 } as const;
  const { address, login: rawLogin } = await startTestServer({ ...options, clock: serverClock });
  const target = { host: '127.0.0.1', port: (address as { port: number }).port };
  const proxy = await startFaultProxy({ target, clock: systemClock, random: systemRandom });
  onTestFinished(() => proxy.close());
  const pin = certificatePin(new X509Certificate((await loopbackCertificate()).cert));
  const rival = await rawLogin('bob');
  return {
    clock,
    serverClock,
    proxy,
    acquire: (leaseOptions, login = { token: tokenOf('alice') }) =>
      acquireLease(connectorTo(proxy, pin, login), 'nightly', {
        clock,
        random: noJitter,
        ttlMs: TTL_MS,
        ...leaseOptions,
      }),
    rival,
    rivalLocks: async (ttlMs = TTL_MS) => {
      const { header } = await rival.ask('lock', { name: 'nightly', 'ttl-ms': ttlMs });
      return header['code'] ?? header['status'];
    },
  };
}

/** A server that does with leases whatever the test says, and a holder that asks it. */
export async function startScriptedLeases(script: Script) {
  const server = await startScriptedServer(script);
  const clock = new FakeClock();
  const connector: Connector = connectorTo(server.address, server.pin);
  const acquire = (options: LeaseOptions = {}) =>
    acquireLease(connector, 'nightly', { clock, random: noJitter, ttlMs: TTL_MS, ...options });
  return {
    ...server,
    clock,
    connector,
    acquire,
    actions: () => server.requests.map(({ header }) => header['action']),
  };
}

/** Lets pass what a holder waits for before it tries again, and not the time that it has for that, until `isSo`. */
export function untilRetried(clock: FakeClock, isSo: () => boolean): Promise<void> {
  return until(() => {
    if (clock.pendingCount === 2) clock.advance(clock.nextDelayMs ?? 0);
    return isSo();
  });
}

/** Resolves once the turns of the event loop have made it so. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}
