import { anySignal, sleep, systemClock, type Clock } from '../clock.ts';
import { isSealiftError, SealiftError } from '../errors.ts';
import { systemRandom, type Random } from '../random.ts';
import { abortable } from './abortable.ts';
import type { Client } from './client.ts';
import type { Connector } from './connector.ts';
import { DEFAULT_RETRY_POLICY, retryDelay, withRetries, type RetryPolicy } from './retry.ts';
import type { TransferOptions } from './transfer-options.ts';

/** How often a lease is asked for that somebody else holds: its holder may give it back long before its end. */
const WAITING: RetryPolicy = {
  retries: Infinity,
  maxElapsedMs: Infinity,
  baseDelayMs: 500,
  maxDelayMs: 3_000,
};
/** How often it is tried to renew a lease, until it ends. */
const RENEWING: RetryPolicy = { ...WAITING, maxDelayMs: 5_000 };
/** How often it is tried to give a lease back: once more, if only then it shows that the connection is gone. */
const RELEASING: RetryPolicy = { ...WAITING, retries: 1 };
/** How long that may take in all, in milliseconds: a program that is done does not hang on what ends by itself. */
const RELEASE_MS = 5_000;

/** Times in milliseconds. */
export interface LeaseOptions extends Pick<
  TransferOptions,
  'retry' | 'onRetry' | 'signal' | 'clock' | 'random'
> {
  /** How long the lease outlives a holder that has died. Renewed each third of it. Default 1 min. */
  ttlMs?: number | undefined;
  /** How long to wait for another holder. Default 0. */
  waitMs?: number | undefined;
  /** Called once, when another holder is going to be waited for. */
  onWait?: ((error: SealiftError) => void) | undefined;
}

/** A lease that is held, and renewed, until it is released or lost. */
export interface Lease extends AsyncDisposable {
  /**
   * Fires when the lease is lost: with `locked` if another run has it, or if it could not be renewed before its end;
   * with the server's own error if it refuses to renew it for good.
   */
  readonly signal: AbortSignal;
  /** Gives it back. May be called again. Never rejects: a lease that cannot be given back ends by itself. */
  release(): Promise<void>;
}

/** What stays the same from the first request for a lease to the last. */
interface Terms {
  connector: Connector;
  name: string;
  ttlMs: number;
  holder: string;
  clock: Clock;
  random: Random;
}

/**
 * Takes the lease `name` of the server, so that no other run has it at the same time. Failures that pass are retried
 * as those of transfers are. Throws `locked` if another run holds it when the waiting is over, `forbidden` for an
 * anonymous client, `unsupported` by a server that keeps no leases, and what `connect` throws. `signal` ends this
 * only, not the lease.
 */
export async function acquireLease(
  connector: Connector,
  name: string,
  options: LeaseOptions = {},
): Promise<Lease> {
  const { ttlMs = 60_000, waitMs = 0, clock = systemClock, random = systemRandom } = options;
  const { retry: policy = DEFAULT_RETRY_POLICY, onRetry, onWait } = options;
  const signal = connector.endedBy(options.signal);
  const terms = { connector, name, ttlMs, holder: random.bytes(16).toString('hex'), clock, random };
  if (Number.isNaN(waitMs)) throw new SealiftError('invalid-argument', 'The waitMs of a lease is no number.');
  const waitUntilMs = clock.monotonicMs() + waitMs;
  for (let tries = 0; ; tries += 1) {
    const outcome = await withRetries({ policy, clock, random, signal, onRetry }, () =>
      tryOnce(terms, signal),
    );
    if (typeof outcome === 'number') return held(terms, outcome);
    const leftMs = waitUntilMs - clock.monotonicMs();
    if (leftMs <= 0) throw heldByAnother(name, outcome);
    if (tries === 0) onWait?.(outcome);
    await sleep(clock, Math.min(leftMs, retryDelay(tries, outcome, WAITING, random)), signal);
  }
}

/** Resolves with the end of the lease, by the clock that never runs backwards, or with `locked`. */
async function tryOnce(terms: Terms, signal: AbortSignal | undefined): Promise<number | SealiftError> {
  const { connector, name, holder } = terms;
  const client = await connector.use(signal);
  try {
    return await lock(client, terms, signal);
  } catch (error) {
    if (isSealiftError(error, 'locked')) return error;
    // The server may have granted what is not waited for any more, and nobody would give it back.
    if (signal?.aborted === true) client.unlock(name, { holder }).catch(() => undefined);
    throw error;
  }
}

function held(terms: Terms, endMs: number): Lease {
  const lost = new AbortController();
  const released = new AbortController();
  // On a connection that carries files, over a slow way, minutes of them wait in buffers.
  const own = terms.connector.beside();
  const renewing = renew(terms, own, endMs, terms.connector.endedBy(released.signal))
    .catch((error: unknown) => {
      if (!released.signal.aborted) lost.abort(error);
    })
    .finally(() => own[Symbol.asyncDispose]());
  const giveBack = async () => {
    released.abort();
    // A renewal that is under way must not come after the unlock.
    await renewing;
    const use = (signal: AbortSignal) => terms.connector.use(signal);
    await insist(terms, { policy: RELEASING, limitMs: RELEASE_MS, use }, (client, signal) =>
      client.unlock(terms.name, { holder: terms.holder, signal }),
    ).catch(() => undefined);
  };
  let releasing: Promise<void> | undefined;
  const release = () => (releasing ??= giveBack());
  return { signal: lost.signal, release, [Symbol.asyncDispose]: release };
}

/** Renews a lease for ever; rejects when it is lost or `stopped` fires. */
async function renew(terms: Terms, own: Connector, endMs: number, stopped: AbortSignal): Promise<never> {
  const { connector, clock, ttlMs } = terms;
  // Where no other connection is to be had, that of the files has to do.
  const use = (signal: AbortSignal) => own.use(signal).catch(() => connector.use(signal));
  for (;;) {
    await sleep(clock, endMs - (ttlMs * 2) / 3 - clock.monotonicMs(), stopped);
    const limitMs = endMs - clock.monotonicMs();
    endMs = await insist(terms, { policy: RENEWING, limitMs, stopped, use }, (client, signal) =>
      lock(client, terms, signal),
    );
  }
}

interface Insistence {
  policy: RetryPolicy;
  limitMs: number;
  stopped?: AbortSignal;
  /** The client that is asked. */
  use: (signal: AbortSignal) => Promise<Client>;
}

/** Asks until no failure comes that may pass, for at most `limitMs`. Throws `locked` when that is over. */
async function insist<T>(
  { name, clock, random }: Terms,
  { policy, limitMs, stopped, use }: Insistence,
  ask: (client: Client, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  let failure: SealiftError | undefined;
  const cancel = clock.schedule(limitMs, () => over.abort(notRenewed(name, failure)));
  const signal = anySignal(over.signal, stopped);
  const onRetry = ({ error }: { error: SealiftError }) => (failure = error);
  try {
    return await withRetries({ policy, clock, random, signal, onRetry }, async () => {
      try {
        const client = await use(signal);
        // Where all places on the connection are taken, the request would not even be begun in time.
        return await abortable(ask(client, signal), signal);
      } catch (error) {
        // The same code says that the time is over.
        const isAnswer = isSealiftError(error, 'locked') && error !== over.signal.reason;
        throw isAnswer ? takenByAnother(name, error) : error;
      }
    });
  } finally {
    cancel();
  }
}

/** Takes or renews the lease; resolves with its end. That is counted from the asking: the server's own count ends later. */
async function lock(
  client: Client,
  { name, ttlMs, holder, clock }: Terms,
  signal: AbortSignal | undefined,
): Promise<number> {
  const endMs = clock.monotonicMs() + ttlMs;
  await client.lock(name, { ttlMs, holder, signal });
  return endMs;
}

function heldByAnother(name: string, cause: SealiftError): SealiftError {
  return new SealiftError('locked', `Another run holds the lock ${JSON.stringify(name)}.`, {
    cause,
    retryable: false,
    hint: 'To wait for it, give --retry-lock a duration, such as 5m.',
  });
}

function takenByAnother(name: string, cause: SealiftError): SealiftError {
  const message = `The lock ${JSON.stringify(name)} was lost: another run holds it now.`;
  return new SealiftError('locked', message, { cause, retryable: false });
}

function notRenewed(name: string, cause: SealiftError | undefined): SealiftError {
  const message = `The lock ${JSON.stringify(name)} was lost: it could not be renewed in time.`;
  return new SealiftError('locked', message, { cause, retryable: false });
}
