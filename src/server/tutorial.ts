import { SealiftError } from '../errors.ts';
import type { Message } from '../protocol/decoder.ts';
import { CONTENT_TYPE } from '../protocol/header.ts';
import { jsonContent } from '../protocol/json-content.ts';
import { MAX_CONTENT_BYTES, MAX_QUERY_CHARACTERS } from '../protocol/limits.ts';
import type { Store } from '../storage/store.ts';
import { matchingFiles } from './glob.ts';
import type { Answer } from './exchange.ts';

/** Bytes of JSON of the file names in one answer: the dialect has no pages, and the answer must fit a content. */
const MAX_NAMES_BYTES = MAX_CONTENT_BYTES / 2;

/**
 * Answers a request of the header protocol's classic example application, which knows no `action` in the header,
 * no `id` and no `status`. SPEC.md, "The tutorial dialect". `signal` ends a search of which nobody would see the answer.
 */
export async function answerTutorial(
  { header, content }: Message,
  store: Store,
  signal: AbortSignal,
): Promise<Answer> {
  if (header['content-type'] === CONTENT_TYPE.json) {
    return {
      content: Buffer.from(JSON.stringify({ result: await tutorialResult(content, store, signal) })),
      contentType: CONTENT_TYPE.json,
    };
  }
  return {
    content: Buffer.concat([Buffer.from('First 10 bytes of request: '), content.subarray(0, 10)]),
    contentType: 'binary/custom-server-binary-type',
    contentEncoding: 'binary',
  };
}

async function tutorialResult(content: Buffer, store: Store, signal: AbortSignal): Promise<string> {
  const { action, value } = parseContent(content);
  if (action !== 'search') return `Error: invalid action '${textOf(action)}'.`;
  const query = textOf(value);
  if (query.length > MAX_QUERY_CHARACTERS)
    throw new SealiftError('bad-request', `A search is longer than ${MAX_QUERY_CHARACTERS} characters.`);
  const names = await matchingNames(query, store, signal);
  return names.length > 0 ? names.join('\n') : `No match for '${query}'.`;
}

function parseContent(content: Buffer): { action?: unknown; value?: unknown } {
  try {
    const request: unknown = jsonContent(content);
    if (typeof request === 'object' && request !== null) return request;
  } catch (cause) {
    throw new SealiftError('bad-request', 'The content is not the JSON that it says it is.', { cause });
  }
  throw new SealiftError('bad-request', 'The content is not a JSON object.');
}

// A peer may send an object here, whose own conversion is not to be trusted, or a list of lists without end.
function textOf(value: unknown): string {
  if (typeof value === 'object' && value !== null)
    throw new SealiftError('bad-request', 'The action and what is searched for have to be texts.');
  return String(value);
}

async function matchingNames(value: string, store: Store, signal: AbortSignal): Promise<string[]> {
  const names: string[] = [];
  let bytes = 0;
  for await (const path of matchingFiles(store.list('', { recursive: true }), value, signal)) {
    // Escaped as JSON, because that is how it travels.
    bytes += Buffer.byteLength(JSON.stringify(path));
    if (bytes > MAX_NAMES_BYTES) break;
    names.push(path);
  }
  return names;
}
