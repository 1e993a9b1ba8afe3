import type { FaultEvent } from '../transport/fault-event.ts';
import type { Faults } from '../transport/fault-settings.ts';

/** What is to go wrong, in the terms of `tc netem` and toxiproxy. Nothing does by default. */
export interface ChaosSettings {
  /** How much later everything arrives, each way, in milliseconds. */
  latencyMs?: number | undefined;
  /** By how much that varies, up and down, in milliseconds. */
  jitterMs?: number | undefined;
  /** Of each connection, each way. */
  bytesPerSecond?: number | undefined;
  /** Closes a connection when it has carried so many bytes, both ways together. */
  dropAfterBytes?: number | undefined;
  /** Resets all connections that are open, so often, in milliseconds. */
  resetEveryMs?: number | undefined;
  /** Carries so many bytes of a connection each way, then keeps it open and carries no more. */
  stallAfterBytes?: number | undefined;
  /** Flips a bit of the byte at this position of a connection, each way; counted from 0. */
  corruptAtByte?: number | undefined;
  /** Forwards pieces of at most so many bytes. */
  splitBytes?: number | undefined;
  /** Accepts connections, and never answers. */
  blackhole?: boolean | undefined;
}

/** The same as the faults of the proxy. */
export function chaosFaults({
  latencyMs = 0,
  jitterMs = 0,
  dropAfterBytes,
  ...others
}: ChaosSettings): Faults {
  // The proxy only ever adds jitter; what a person asks for lies on both sides of the latency, and not before it was sent.
  const leastMs = Math.max(0, latencyMs - jitterMs);
  const faults = {
    ...(latencyMs + jitterMs > 0 ? { latencyMs: leastMs, jitterMs: latencyMs + jitterMs - leastMs } : {}),
    ...(dropAfterBytes === undefined ? {} : { cut: { afterBytes: dropAfterBytes, mode: 'fin' } }),
    ...others,
  };
  return Object.fromEntries(Object.entries(faults).filter(([, value]) => value !== undefined));
}

/** Counts what happened in a run of the proxy. */
export class ChaosTally {
  /** How often each fault befell a connection, by its kind. */
  readonly faults: Partial<Record<FaultEvent['kind'], number>> = {};

  /** Whether the event is a fault, which is counted then. */
  add({ kind }: FaultEvent): boolean {
    if (kind === 'opened' || kind === 'closed') return false;
    this.faults[kind] = (this.faults[kind] ?? 0) + 1;
    return true;
  }
}
