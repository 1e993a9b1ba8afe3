import type { ClaimedServer } from './announced-server.ts';

/** What a server tells in a datagram. */
export interface ToldServer {
  name: string;
  host: string;
  port: number;
  pin: string;
  version: string;
}

/** Of a question, in bytes; no answer is longer, so that asking in somebody else's name brings them no more than was sent. */
const QUESTION_BYTES = 512;
const QUESTION = /^sealift discover 1 ([0-9a-f]{16})\n\0*$/;

/** `sealift discover 1 NONCE`, a line feed, and zeros up to 512 bytes. `nonce`: 16 hex digits. */
export function discoveryQuestion(nonce: string): Buffer {
  const question = Buffer.alloc(QUESTION_BYTES);
  question.write(`sealift discover 1 ${nonce}\n`);
  return question;
}

/** What a server answers to a datagram: an object of JSON; undefined to what is no question of 512 bytes. Nothing in it is signed. */
export function discoveryAnswer(question: Buffer, server: ToldServer): Buffer | undefined {
  if (question.length !== QUESTION_BYTES) return undefined;
  const nonce = QUESTION.exec(question.toString('latin1'))?.[1];
  return nonce === undefined ? undefined : Buffer.from(JSON.stringify({ sealift: 1, nonce, ...server }));
}

/** What an answer to the question with `nonce` claims; undefined if it is none. The address is the sender's. */
export function claimOf(answer: Buffer, nonce: string, sender: string): ClaimedServer | undefined {
  if (answer.length > QUESTION_BYTES) return undefined;
  const claim = parsed(answer);
  if (claim?.['sealift'] !== 1 || claim['nonce'] !== nonce) return undefined;
  const { name, host, port, pin, version } = claim;
  return { name, host, port, pin, version, addresses: [sender] };
}

function parsed(answer: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(answer.toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
