/** How times are distributed. In the unit of the times; nearest ranks, so that each percentile is a time that was seen. */
export interface Latency {
  min: number;
  avg: number;
  max: number;
  /** The standard deviation, as `ping` prints it under this name. */
  mdev: number;
  p50: number;
  p95: number;
  p99: number;
}

/** Sums up at least one time; undefined for none. */
export function latencyOf(times: readonly number[]): Latency | undefined {
  const sorted = [...times].sort((a, b) => a - b);
  const [min] = sorted;
  if (min === undefined) return undefined;
  const avg = mean(sorted);
  return {
    min,
    avg,
    max: percentile(sorted, 100),
    mdev: Math.sqrt(mean(sorted.map((time) => (time - avg) ** 2))),
    p50: percentile(sorted, 50),
    p95: percentile(sorted, 95),
    p99: percentile(sorted, 99),
  };
}

/** The smallest of `sorted` that `percent` of them do not exceed. */
function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? NaN;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
