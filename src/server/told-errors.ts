import { SealiftError } from '../errors.ts';
import type { Header } from '../protocol/header.ts';

/** Characters of a name in the message of an error. */
const MAX_TOLD_NAME_CHARACTERS = 300;

/** An error about a block tells which, however little of its request could be understood: a block need not have an id. */
export function blockFields({ action, upload, index }: Header): Record<string, unknown> {
  if (action !== 'block') return {};
  return {
    ...(typeof upload === 'string' ? { upload } : {}),
    ...(typeof index === 'number' ? { index } : {}),
  };
}

/** A message with the names in it cut: one that is long and full of quotes would not fit a header. */
export function clipped(message: string): string {
  return message.replaceAll(/"(?:[^"\\]|\\.)*"/g, (name) =>
    name.length <= MAX_TOLD_NAME_CHARACTERS
      ? name
      : `${name.slice(0, MAX_TOLD_NAME_CHARACTERS).toWellFormed()}…"`,
  );
}

/** What is left of an error that does not fit a header. */
export function withoutContext({ code, retryable }: SealiftError): SealiftError {
  return new SealiftError(code, 'What went wrong is too long to be told.', { retryable });
}
