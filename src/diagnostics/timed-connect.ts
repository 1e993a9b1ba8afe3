import type { Client } from '../client/client.ts';
import { connect, type ConnectOptions } from '../client/connect.ts';
import { systemClock } from '../clock.ts';
import type { Peer } from '../transport/peer.ts';
import type { Probe } from './ping.ts';

/** A connection, and how long each step to it took, in milliseconds. */
export interface TimedConnection {
  client: Client;
  /** Name and TCP. */
  tcpMs: number;
  /** TLS, and the judgement of the certificate. */
  tlsMs: number;
  helloMs: number;
}

/** `connect`, with its steps timed. Throws what that throws. */
export async function connectTimed(options: ConnectOptions): Promise<TimedConnection> {
  const { clock = systemClock } = options;
  const startMs = clock.monotonicMs();
  let connectedMs = startMs;
  const client = await connect({
    ...options,
    onConnected: () => {
      connectedMs = clock.monotonicMs();
      options.onConnected?.();
    },
  });
  return {
    client,
    tcpMs: connectedMs - startMs,
    tlsMs: clock.monotonicMs() - connectedMs - client.rttMs,
    helloMs: client.rttMs,
  };
}

/** Makes a connection and ends it: how long TCP, TLS and hello took, and all of that (`ms`). */
export function handshakeProbe(options: ConnectOptions): Probe<Handshake> {
  return async (signal) => {
    const { client, ...steps } = await connectTimed({ ...options, signal });
    await client.close();
    return { ...steps, ms: steps.tcpMs + steps.tlsMs + steps.helloMs, peer: client.peer };
  };
}

/** A whole connection, in milliseconds, and whom it was with. */
export type Handshake = Omit<TimedConnection, 'client'> & { ms: number; peer: Peer };
