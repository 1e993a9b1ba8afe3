import type { FaultEvent } from '../transport/fault-event.ts';
import { valueOf, type Faults, type NumericFault } from '../transport/fault-settings.ts';
import { formatDuration, formatSize } from '../units.ts';

/** What the proxy was told to do, for people. The faults are the same each way. */
export function faultsText(faults: Faults): string {
  const parts = [
    ...lateness(faults),
    ...part(faults, 'bytesPerSecond', (rate) => `at most ${formatSize(rate)}/s`),
    ...(faults.cut === undefined ? [] : [`closes after ${formatSize(faults.cut.afterBytes)}`]),
    ...(faults.resetEveryMs === undefined ? [] : [`resets every ${formatDuration(faults.resetEveryMs)}`]),
    ...part(faults, 'stallAfterBytes', (bytes) => `silent after ${formatSize(bytes)}`),
    ...part(faults, 'corruptAtByte', (place) => `damages byte ${place}`),
    ...part(faults, 'splitBytes', (bytes) => `in pieces of ${formatSize(bytes)}`),
    ...(faults.blackhole === true ? ['never answers'] : []),
  ];
  return parts.length === 0 ? 'no faults: everything is forwarded as it is' : parts.join(', ');
}

/** A line about one event, for people. */
export function eventText({ connection, kind, bytes, direction = 'up', mode, reason }: FaultEvent): string {
  const carried = `up ${formatSize(bytes.up)}, down ${formatSize(bytes.down)}`;
  const texts: Record<FaultEvent['kind'], string> = {
    opened: 'opened',
    closed: `closed: ${carried}`,
    unreachable: `the target cannot be reached (${reason ?? 'unknown'})`,
    corrupted: `flipped a bit on the way ${direction}`,
    stalled: `silent on the way ${direction}: ${carried}`,
    cut: `${mode === 'rst' ? 'reset' : 'closed on purpose'}: ${carried}`,
    refused: 'refused',
    unanswered: 'accepted, and never answered',
  };
  return `#${connection} ${texts[kind]}`;
}

function lateness(faults: Faults): string[] {
  const leastMs = valueOf(faults, 'latencyMs', 'up') ?? 0;
  const jitterMs = valueOf(faults, 'jitterMs', 'up') ?? 0;
  if (leastMs + jitterMs === 0) return [];
  const range = jitterMs === 0 ? '' : ` to ${formatDuration(leastMs + jitterMs)}`;
  return [`late by ${formatDuration(leastMs)}${range} each way`];
}

function part(faults: Faults, name: NumericFault, text: (value: number) => string): string[] {
  const value = valueOf(faults, name, 'up');
  return value === undefined ? [] : [text(value)];
}
