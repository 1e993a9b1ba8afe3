import { latencyOf, type Latency } from '../diagnostics/latency.ts';
import type { PingOutcome } from '../diagnostics/ping.ts';
import type { Terminal } from './terminal.ts';
import type { SealiftError } from '../errors.ts';
import { printable } from './escape.ts';

/** Tells of pings as `ping` does, and counts them. `place` is the server, for people; `what` is measured. */
export class PingDisplay {
  readonly #terminal: Terminal;
  readonly #place: string;
  readonly #what: string;
  readonly #times: number[] = [];
  #sent = 0;
  #lastFailure: SealiftError | undefined;

  constructor(terminal: Terminal, place: string, what: 'rtt' | 'connection') {
    this.#terminal = terminal;
    this.#place = place;
    this.#what = what;
  }

  get receivedCount(): number {
    return this.#times.length;
  }

  /** Why nothing came back: what the last one was lost for. Undefined as soon as any answer came. */
  get failure(): SealiftError | undefined {
    return this.receivedCount === 0 ? this.#lastFailure : undefined;
  }

  /** The mean of what came back, in milliseconds. */
  get averageMs(): number | undefined {
    return latencyOf(this.#times)?.avg;
  }

  begin(how: string): void {
    if (!this.#terminal.options.json) this.#terminal.data(`PING ${this.#place} ${how}`);
  }

  /** One ping. `says` is what is told of an answer besides its time. */
  tell<T extends { ms: number }>(
    { sequence, reply, failure }: PingOutcome<T>,
    says: {
      line: (answered: { sequence: number; reply: T }) => string;
      fields?: (reply: T) => Record<string, unknown>;
    },
  ): void {
    this.#sent += 1;
    if (failure !== undefined) {
      this.#lastFailure = failure;
      this.#terminal.event('ping', { seq: sequence, ms: null, code: failure.code });
      return this.#line(`no answer from ${this.#place}: seq=${sequence} ${printable(failure.message)}`);
    }
    this.#times.push(reply.ms);
    this.#terminal.event('ping', { seq: sequence, ms: rounded(reply.ms), ...says.fields?.(reply) });
    this.#line(`${says.line({ sequence, reply })} time=${milliseconds(reply.ms)} ms`);
  }

  /** The statistics, with further `fields` for programs. `totalMs`: how long all of it took. */
  end(totalMs: number, fields: Readonly<Record<string, unknown>>): void {
    const received = this.#times.length;
    const lossPercent = this.#sent === 0 ? 0 : Math.round((100 * (this.#sent - received)) / this.#sent);
    const latency = latencyOf(this.#times);
    const figures = latency && roundedLatency(latency);
    this.#terminal.event('summary', { sent: this.#sent, received, lossPercent, ...figures, ...fields });
    if (this.#terminal.options.json) return;
    this.#terminal.data(`\n--- ${this.#place} ping statistics ---`);
    this.#terminal.data(
      `${this.#sent} sent, ${received} received, ${lossPercent}% loss, time ${Math.round(totalMs)}ms`,
    );
    if (latency === undefined) return;
    const { min, avg, max, mdev, p99 } = latency;
    const values = [min, avg, max, mdev].map(milliseconds).join('/');
    this.#terminal.data(`${this.#what} min/avg/max/mdev = ${values} ms, p99 = ${milliseconds(p99)} ms`);
  }

  #line(line: string): void {
    const { json, quiet } = this.#terminal.options;
    if (!json && !quiet) this.#terminal.data(line);
  }
}

/** Three digits behind the point, as `ping` prints them. */
export function milliseconds(ms: number): string {
  return ms.toFixed(3);
}

/** To the microsecond: what is below is noise. */
export function roundedLatency(latency: Latency): Latency {
  const figures = Object.entries(latency) as [keyof Latency, number][];
  return Object.fromEntries(figures.map(([name, ms]) => [name, rounded(ms)])) as Record<
    keyof Latency,
    number
  >;
}

/** The same for one time. */
export function rounded(ms: number): number {
  return Number(milliseconds(ms));
}
