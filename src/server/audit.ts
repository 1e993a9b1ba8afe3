import type { Action } from '../protocol/requests.ts';

/** What an entry is about. README, "Audit log". */
export type AuditEvent = 'login' | 'join' | 'transfer' | 'change' | 'refusal' | 'cut' | 'reload';

/** One thing that happened. The names are those of the log's lines, and stay. */
export interface AuditEntry {
  /** As in `2026-11-21T14:26:08.123Z`. */
  time: string;
  event: AuditEvent;
  /** Tells the connections of one run of the server apart. */
  connection?: number | undefined;
  address?: string | undefined;
  /** null: anonymous; undefined: not known. */
  principal?: string | null | undefined;
  action?: Action | undefined;
  path?: string | undefined;
  to?: string | undefined;
  version?: string | undefined;
  /** Of file content that was taken or given. */
  bytes?: number | undefined;
  /** Of the whole file. */
  digest?: string | undefined;
  /** `ok`, or the code of the error. */
  result: string;
  /** What the error says. */
  reason?: string | undefined;
  /** How long the request took. */
  seconds?: number | undefined;
}

/** Takes down who did what. What it cannot take down is its own matter: what it throws is passed over, and nothing waits for it. */
export interface AuditLog {
  record(entry: AuditEntry): void;
}
