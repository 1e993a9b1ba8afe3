import type { PrometheusMetrics } from '../diagnostics/prometheus-metrics.ts';
import { systemClock } from '../clock.ts';
import type { CreatedServer } from '../server/create-server.ts';
import type { ServerMetrics } from '../server/metrics.ts';
import type { HttpPages } from '../transport/http-pages.ts';
import { formatAddress } from '../transport/address.ts';
import { parseListenAddress, type HostPort } from './listen-address.ts';
import type { Terminal } from './terminal.ts';

const LOOPBACK = '127.0.0.1';

/** Understands `HOST:PORT`, `[::1]:PORT`, and `:PORT` or `PORT` on the loopback address: who reads metrics has to say no password. Throws `usage`. */
export function parseMetricsAddress(text: string): HostPort {
  const { host, port } = parseListenAddress(/^\d+$/.test(text) ? `:${text}` : text);
  return { host: host === '' ? LOOPBACK : host, port };
}

/** What `serve --metrics` serves. */
export class MetricsPages {
  readonly #address: HostPort;
  readonly #metrics: PrometheusMetrics;
  #pages: HttpPages | undefined;

  private constructor(address: HostPort, metrics: PrometheusMetrics) {
    this.#address = address;
    this.#metrics = metrics;
  }

  // Loaded only where it is asked for.
  static async make(address: HostPort): Promise<MetricsPages> {
    const { PrometheusMetrics } = await import('../diagnostics/prometheus-metrics.ts');
    return new MetricsPages(address, new PrometheusMetrics(systemClock));
  }

  /** For the server to tell. */
  get metrics(): ServerMetrics {
    return this.#metrics;
  }

  /** Serves them, and says where. Throws `bad-configuration` if the address cannot be had. */
  async serve(server: CreatedServer, terminal: Terminal): Promise<void> {
    const { serveMetrics } = await import('../diagnostics/metrics-endpoint.ts');
    this.#metrics.watch(server);
    this.#pages = await serveMetrics(this.#address, { server, metrics: this.#metrics, clock: systemClock });
    const url = `http://${formatAddress(this.#pages.address)}/metrics`;
    terminal.event('metrics', { url });
    terminal.note(`sealift: metrics at ${url}`);
  }

  async close(): Promise<void> {
    this.#metrics.close();
    await this.#pages?.close();
  }
}
