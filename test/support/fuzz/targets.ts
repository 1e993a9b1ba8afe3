import { startAnswerTarget } from './answer-target.ts';
import { startHandshakeTarget } from './handshake-target.ts';
import { startMessageTarget } from './message-target.ts';
import { fuzz, type FuzzOptions } from './target.ts';

/** What is fuzzed, by the name of what is sent. Each resolves with how many rounds did no harm. */
export const FUZZED = {
  messages: (options) => fuzz(startMessageTarget, options),
  answers: (options) => fuzz(startAnswerTarget, options),
  handshakes: (options) => fuzz(startHandshakeTarget, options),
} as const satisfies Record<string, (options: FuzzOptions) => Promise<number>>;
