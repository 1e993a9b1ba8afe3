import { Counter, Gauge, Histogram, Registry } from 'prom-client';

import type { Clock } from '../clock.ts';
import type { CreatedServer } from '../server/create-server.ts';
import type { HandshakeOutcome, RequestOutcome, ServerMetrics } from '../server/metrics.ts';
import { handshakeResult } from './handshake-results.ts';

/** From a ping to a large file over a slow line, in seconds. */
const REQUEST_BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60, 600];
const LAG_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];
/** How often the event loop is asked how late it is, in milliseconds. */
const LAG_INTERVAL_MS = 500;

/**
 * The metrics of a server for Prometheus. No label takes a value that peers could make up: none tells a path, a
 * principal or an address.
 */
export class PrometheusMetrics implements ServerMetrics {
  readonly #registry = new Registry();
  readonly #clock: Clock;
  #cancelLag: () => void = () => undefined;
  readonly #handshakes = this.#counter('handshakes', 'TLS handshakes, by version and how they ended.', [
    'version',
    'result',
  ]);
  readonly #refusals = this.#counter('connections_refused', 'Connections closed since there are too many.');
  readonly #bytes = this.#counter('bytes', 'Content taken and given, as it travels.', ['direction']);
  readonly #files = this.#counter('files', 'Files published, and reads of files.', ['direction']);
  readonly #requests = this.#counter('requests', 'Requests, by action and ok or the code of the error.', [
    'action',
    'result',
  ]);
  readonly #durations = new Histogram({
    name: 'sealift_request_duration_seconds',
    help: 'How long requests took.',
    labelNames: ['action'],
    buckets: REQUEST_BUCKETS,
    registers: [this.#registry],
  });
  readonly #errors = this.#counter('errors', 'Errors told to clients, by code.', ['code']);
  readonly #lag = new Histogram({
    name: 'sealift_event_loop_lag_seconds',
    help: 'How late the event loop comes to what is due.',
    buckets: LAG_BUCKETS,
    registers: [this.#registry],
  });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  refusal(): void {
    this.#refusals.inc();
  }

  handshake(outcome: HandshakeOutcome): void {
    this.#handshakes.inc(
      'version' in outcome
        ? { version: outcome.version, result: 'ok' }
        : { version: 'none', result: handshakeResult(outcome.reason) },
    );
  }

  content(direction: 'received' | 'sent', bytes: number): void {
    if (bytes > 0) this.#bytes.inc({ direction }, bytes);
  }

  request({ action, result, seconds, file }: RequestOutcome): void {
    this.#requests.inc({ action, result });
    this.#durations.observe({ action }, seconds);
    if (file !== undefined) this.#files.inc({ direction: file });
  }

  error(code: string): void {
    this.#errors.inc({ code });
  }

  /** Tells from now on, and until `close`, how many connections and uploads `server` has, when its certificate ends, and how late the event loop is. */
  watch(server: Pick<CreatedServer, 'connectionCount' | 'openUploadCount' | 'certificateEndsMs'>): void {
    this.#gauge('connections', 'Clients that are connected.', () => server.connectionCount);
    this.#gauge('uploads_open', 'Uploads that clients work on.', () => server.openUploadCount);
    this.#gauge(
      'certificate_expiry_seconds',
      'Until the certificate of the server ends; negative when it has.',
      () => (server.certificateEndsMs - this.#clock.now()) / 1_000,
    );
    this.#watchLag();
  }

  /** All of them in Prometheus' text format. */
  async text(): Promise<{ contentType: string; body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  close(): void {
    this.#cancelLag();
  }

  #watchLag(): void {
    const dueMs = this.#clock.monotonicMs() + LAG_INTERVAL_MS;
    this.#cancelLag = this.#clock.schedule(LAG_INTERVAL_MS, () => {
      this.#lag.observe(Math.max(0, this.#clock.monotonicMs() - dueMs) / 1_000);
      this.#watchLag();
    });
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name: `sealift_${name}_total`, help, labelNames, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name: `sealift_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }
}
