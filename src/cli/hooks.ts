import type { RetryPolicy } from '../client/retry.ts';
import { withRetries } from '../client/retry.ts';
import { anySignal, systemClock, type Clock } from '../clock.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { systemRandom, type Random } from '../random.ts';
import { version } from './version.ts';

/** How long one request may take, in milliseconds. */
const LIMIT_MS = 10_000;
const RETRIES: RetryPolicy = { retries: 2, maxElapsedMs: 60_000, baseDelayMs: 500, maxDelayMs: 2_000 };
/** The answers of services that take only GET. */
const NO_POST: readonly number[] = [404, 405, 501];

export interface HookOptions {
  clock?: Clock;
  random?: Random;
  signal?: AbortSignal | undefined;
}

/** Understands the URL of a hook. Throws `usage`, without the URL, in which a secret may stand. */
export function parseHookUrl(text: string): string {
  const url = URL.parse(text);
  if (url !== null && ['http:', 'https:'].includes(url.protocol)) return text;
  throw new SealiftError('usage', 'What is given is no http or https URL.');
}

/**
 * Tells a health-check service of a run: posts `body` as JSON or, where the service takes no POST, gets the URL.
 * Redirects are followed; a request may take 10 seconds, and is tried again twice. Throws `unreachable` or
 * `retries-exhausted`, which name the origin of `url` only, and `aborted`.
 */
export async function callHook(
  url: string,
  body: Readonly<Record<string, unknown>>,
  { clock = systemClock, random = systemRandom, signal }: HookOptions = {},
): Promise<void> {
  await withRetries({ policy: RETRIES, clock, random, signal }, async () => {
    const status = await request(url, { method: 'POST', body: JSON.stringify(body) }, clock, signal);
    const last = NO_POST.includes(status) ? await request(url, { method: 'GET' }, clock, signal) : status;
    if (last < 200 || last > 299) throw failure(url, `answered ${last}`);
  });
}

/** Resolves with the status of the answer. */
async function request(
  url: string,
  init: { method: string; body?: string },
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { target, authorization } = separated(url);
  const deadline = new AbortController();
  const late = failure(url, `did not answer within ${LIMIT_MS / 1_000} s`);
  const cancel = clock.schedule(LIMIT_MS, () => deadline.abort(late));
  try {
    const response = await fetch(target, {
      ...init,
      headers: {
        'user-agent': `sealift/${version()}`,
        ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...authorization,
      },
      signal: anySignal(deadline.signal, signal),
    });
    // What it says does not matter, but until it is read the connection would stay.
    await response.body?.cancel();
    return response.status;
  } catch (cause) {
    if (cause instanceof SealiftError) throw cause;
    const reason = systemCode((cause as { cause?: unknown }).cause);
    throw failure(url, `cannot be reached${reason === undefined ? '' : ` (${reason})`}`, cause);
  } finally {
    cancel();
  }
}

/** `fetch` takes no URL with a name and a password in it. */
function separated(text: string): { target: URL; authorization: Record<string, string> } {
  const target = new URL(text);
  if (target.username === '' && target.password === '') return { target, authorization: {} };
  const login = `${decodeURIComponent(target.username)}:${decodeURIComponent(target.password)}`;
  target.username = '';
  target.password = '';
  return { target, authorization: { authorization: `Basic ${Buffer.from(login).toString('base64')}` } };
}

function failure(url: string, what: string, cause?: unknown): SealiftError {
  return new SealiftError('unreachable', `${new URL(url).origin} ${what}.`, { cause });
}
