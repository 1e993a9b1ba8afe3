import type { Action } from '../protocol/requests.ts';

/** A request that was worked on to its end. */
export interface RequestOutcome {
  action: Action;
  /** `ok`, or the code of the error. */
  result: string;
  /** That the request took. */
  seconds: number;
  /** A file was published, or read: also a part of it. */
  file: 'received' | 'sent' | undefined;
}

/** How a TLS handshake ended: with the version, as in `TLSv1.3`, or with the reason why not, in the words of the TLS layer. */
export type HandshakeOutcome = { version: string } | { reason: string };

/**
 * Counts what happens in a server. The audit log says who did what; this only how much of it there is, so that it can
 * be told for every block. What it throws is passed over, and nothing waits for it.
 */
export interface ServerMetrics {
  /** A connection was turned away before TLS, because there are too many. */
  refusal(): void;
  handshake(outcome: HandshakeOutcome): void;
  /** Bytes of content, of files for the most part, were taken from a client or given to it, as they travel: compressed or not. */
  content(direction: 'received' | 'sent', bytes: number): void;
  /** A request has ended, or a hello. */
  request(outcome: RequestOutcome): void;
  /** A client was told an error, or its stream was ended with one. */
  error(code: string): void;
}
