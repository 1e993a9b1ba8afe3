import { SealiftError } from './errors.ts';

const DURATION_UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_UNITS = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;

/** Milliseconds of `500ms`, `10s`, `15m`, `2h`, `7d`; a bare number is seconds. Throws `usage`. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text.trim());
  const factor = DURATION_UNITS[(match?.[2] ?? 's') as keyof typeof DURATION_UNITS];
  const milliseconds = Math.round(Number(match?.[1]) * factor);
  if (Number.isSafeInteger(milliseconds)) return milliseconds;
  throw new SealiftError(
    'usage',
    `${JSON.stringify(text)} is no duration; write it as 500ms, 10s, 15m or 2h.`,
  );
}

/** How long somebody is waited for: a duration, but never none, within which nobody could answer. Throws `usage`. */
export function parseTimeout(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds > 0) return milliseconds;
  throw new SealiftError('usage', `${JSON.stringify(text)} is too short to wait for anything.`, {
    hint: 'There is no way to wait without end; write a long time, such as 1d.',
  });
}

/** Bytes of `64K`, `10M`, `1G`: powers of 1024; a bare number is bytes. Throws `usage`. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  const factor = SIZE_UNITS[(match?.[2] ?? '').toUpperCase() as keyof typeof SIZE_UNITS];
  const bytes = Math.round(Number(match?.[1]) * factor);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new SealiftError('usage', `${JSON.stringify(text)} is no size; write it as 64K, 10M or 1G.`);
}

/** A whole number of at least `min`. Throws `usage`. */
export function parseCount(text: string, min = 0): number {
  const count = Number(text);
  if (/^\d+$/.test(text.trim()) && Number.isSafeInteger(count) && count >= min) return count;
  throw new SealiftError('usage', `${JSON.stringify(text)} is no whole number of at least ${min}.`);
}

/** A port, from `min` on: 0 stands for any that is free. Throws `usage`. */
export function parsePort(text: string, min: 0 | 1): number {
  const port = parseCount(text, min);
  if (port <= 65_535) return port;
  throw new SealiftError('usage', `${text} is no port: ${min} to 65535.`);
}

/** `1.5G`, `310M`, `12K`, `7B`: three digits or so, for people. */
export function formatSize(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'K', 'M', 'G']) {
    if (value < 999.5) return `${formatDigits(value, unit === 'B')}${unit}`;
    value /= 1024;
  }
  return `${formatDigits(value, false)}T`;
}

/** `350ms`, `4.2s`, `3m12s`, `1h05m`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.round(milliseconds)}ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1_000).toFixed(1)}s`;
  const minutes = Math.floor(Math.round(milliseconds / 1_000) / 60);
  const seconds = Math.round(milliseconds / 1_000) % 60;
  if (minutes < 60) return `${minutes}m${String(seconds).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`;
}

function formatDigits(value: number, isWhole: boolean): string {
  return isWhole || value >= 99.95 ? value.toFixed(0) : value.toFixed(1);
}
