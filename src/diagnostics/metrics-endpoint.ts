import { sleep, type Clock } from '../clock.ts';
import type { CreatedServer } from '../server/create-server.ts';
import { plain, servePages, type HttpPages } from '../transport/http-pages.ts';
import type { PrometheusMetrics } from './prometheus-metrics.ts';

/** How long the store may take to answer before a server counts as not ready, in milliseconds: less than a probe waits. */
const READY_TIMEOUT_MS = 2_000;

/** Serves `/metrics`, `/ready` (200 while it listens and its directory answers, else 503) and `/live` (200 while the process answers). */
export async function serveMetrics(
  address: { host: string; port: number },
  parts: { server: Pick<CreatedServer, 'isReady'>; metrics: PrometheusMetrics; clock: Clock },
): Promise<HttpPages> {
  const { server, metrics, clock } = parts;
  return servePages(
    address,
    new Map([
      ['/metrics', async () => ({ status: 200, ...(await metrics.text()) })],
      [
        '/ready',
        async () => ((await isReadyInTime(server, clock)) ? plain(200, 'ready') : plain(503, 'not ready')),
      ],
      ['/live', async () => plain(200, 'live')],
    ]),
  );
}

async function isReadyInTime(server: Pick<CreatedServer, 'isReady'>, clock: Clock): Promise<boolean> {
  const answered = new AbortController();
  // Ended by the abort, it has lost the race already.
  const tooLate = sleep(clock, READY_TIMEOUT_MS, answered.signal).then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([server.isReady(), tooLate]);
  } finally {
    answered.abort();
  }
}
