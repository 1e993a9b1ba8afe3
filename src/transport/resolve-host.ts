import { lookup } from 'node:dns/promises';

import { abortedError, type Clock } from '../clock.ts';
import { SealiftError } from '../errors.ts';

/** What a name is resolved with. */
export interface ResolveOptions {
  /** Only addresses of this family. Default: both. */
  family?: 4 | 6 | undefined;
  clock: Clock;
  /** In milliseconds. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/** All IP addresses of a host, in the order in which this machine would try them. Throws `name-not-resolved`. */
export async function resolveHost(
  host: string,
  { family, clock, timeoutMs, signal }: ResolveOptions,
): Promise<string[]> {
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const notResolved = (why: string, cause?: unknown) =>
    new SealiftError('name-not-resolved', `The name ${host} could not be resolved (${why}).`, { cause });
  const cancel = clock.schedule(timeoutMs, () => reject(notResolved(`no answer in ${timeoutMs / 1_000} s`)));
  const onAbort = () => reject(abortedError(signal));
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const what = family === undefined ? 'no such name' : `no address of IPv${family}`;
    const found = lookup(host, { all: true, family: family ?? 0 }).catch((cause: unknown) => {
      throw notResolved((cause as { code?: string }).code === 'ENOTFOUND' ? what : String(cause), cause);
    });
    // An address is its own name, whatever family is asked for.
    const wanted = (await Promise.race([found, ended])).filter(
      (each) => each.family === (family ?? each.family),
    );
    if (wanted.length === 0) throw notResolved(what);
    return [...new Set(wanted.map(({ address }) => address))];
  } finally {
    cancel();
    signal?.removeEventListener('abort', onAbort);
  }
}
