import { rateOf, type Measurement, type MeasurementKind, type Unmeasured } from './measurement.ts';
import { verdictOn, type Verdict } from './verdict.ts';

/** The verdict on the measurements of a server; undefined if those are missing without which there is none. */
export function judged(results: readonly (Measurement | Unmeasured)[]): Verdict | undefined {
  const rates = (kind: MeasurementKind) =>
    results.flatMap((each) => (each.kind === kind && 'bytes' in each ? [rateOf(each)] : []));
  const ciphers = rates('cipher');
  // The first is that with the cipher suite which the two sides agree on by themselves.
  const [memory, [hash], [stored], [plain]] = [ciphers[0], rates('hash'), rates('stored'), rates('plain')];
  if (memory === undefined || hash === undefined || stored === undefined) return undefined;
  const streams = rates('streams');
  return verdictOn({
    plain,
    memory,
    ciphers,
    streams: streams.length === 0 ? undefined : Math.max(...streams),
    hash,
    stored,
  });
}
