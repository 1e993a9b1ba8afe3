/** How far back the rate looks, in milliseconds: long enough to be steady, short enough to follow a change. */
const WINDOW_MS = 5_000;
/** The least distance between two samples, in milliseconds, which bounds how many are kept. */
const SAMPLE_MS = 100;

/** The rate of a transfer over the last few seconds. Pure arithmetic: the caller brings the time. */
export class RateMeter {
  readonly #samples: { atMs: number; bytes: number }[] = [];
  #bytes = 0;

  constructor(startMs: number) {
    this.#samples.push({ atMs: startMs, bytes: 0 });
  }

  /** Bytes counted so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Counts `bytes` that were moved by `nowMs`; bytes found in place are not to be counted. */
  add(bytes: number, nowMs: number): void {
    this.#bytes += bytes;
    const last = this.#samples.at(-1);
    if (last !== undefined && nowMs - last.atMs < SAMPLE_MS) return;
    this.#samples.push({ atMs: nowMs, bytes: this.#bytes });
    while (this.#samples.length > 2 && nowMs - (this.#samples[1]?.atMs ?? nowMs) >= WINDOW_MS)
      this.#samples.shift();
  }

  /** Bytes per second over the window that ends at `nowMs`; 0 while there is nothing to tell. */
  rate(nowMs: number): number {
    const first = this.#samples[0];
    if (first === undefined || nowMs <= first.atMs) return 0;
    return ((this.#bytes - first.bytes) * 1000) / (nowMs - first.atMs);
  }
}

/** Seconds until `remainingBytes` are moved at `bytesPerSecond`; undefined if that cannot be told. */
export function etaSeconds(remainingBytes: number, bytesPerSecond: number): number | undefined {
  if (remainingBytes <= 0) return 0;
  return bytesPerSecond > 0 ? remainingBytes / bytesPerSecond : undefined;
}
