import type { CutMode, Direction } from './fault-cut.ts';

/** What the proxy did to a connection on purpose. */
export type FaultKind = 'corrupted' | 'stalled' | 'cut' | 'refused' | 'unanswered';

/** What became of a connection. */
export interface FaultEvent {
  /** Connections are counted from 1, in the order in which they were accepted. */
  connection: number;
  /** `unreachable`: the target could not be connected to, which is no doing of the proxy. */
  kind: 'opened' | 'closed' | 'unreachable' | FaultKind;
  /** Bytes forwarded each way by then. */
  bytes: Readonly<Record<Direction, number>>;
  /** Which bytes were corrupted or stalled. */
  direction?: Direction;
  /** How it was cut. */
  mode?: CutMode;
  /** Why the target is unreachable, by the code of the system (`ECONNREFUSED`). */
  reason?: string;
}
