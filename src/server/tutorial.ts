import { SealiftError } from '../errors.ts';
import type { Message } from '../protocol/decoder.ts';
import { CONTENT_TYPE } from '../protocol/header.ts';
import type { Store } from '../storage/store.ts';
import { matchesSearch } from './glob.ts';
import type { Answer } from './exchange.ts';

/** File names in one answer: the dialect has no pages, and the answer must fit a content. */
const MAX_NAMES = 1_000;

/**
 * Answers a request of the header protocol's classic example application, which knows no `action` in the header,
 * no `id` and no `status`. SPEC.md, "The tutorial dialect".
 */
export async function answerTutorial({ header, content }: Message, store: Store): Promise<Answer> {
  if (header['content-type'] === CONTENT_TYPE.json) {
    return {
      content: Buffer.from(JSON.stringify({ result: await tutorialResult(content, store) })),
      contentType: CONTENT_TYPE.json,
    };
  }
  return {
    content: Buffer.concat([Buffer.from('First 10 bytes of request: '), content.subarray(0, 10)]),
    contentType: 'binary/custom-server-binary-type',
    contentEncoding: 'binary',
  };
}

async function tutorialResult(content: Buffer, store: Store): Promise<string> {
  const { action, value } = parseContent(content);
  if (action !== 'search') return `Error: invalid action '${textOf(action)}'.`;
  const names = await matchingNames(textOf(value), store);
  return names.length > 0 ? names.join('\n') : `No match for '${textOf(value)}'.`;
}

function parseContent(content: Buffer): { action?: unknown; value?: unknown } {
  try {
    const request: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content));
    if (typeof request === 'object' && request !== null) return request;
  } catch (cause) {
    throw new SealiftError('bad-request', 'The content is not the JSON that it says it is.', { cause });
  }
  throw new SealiftError('bad-request', 'The content is not a JSON object.');
}

// A peer may send an object here, whose own conversion is not to be trusted.
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : String(JSON.stringify(value));
}

async function matchingNames(value: string, store: Store): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of store.list('', { recursive: true })) {
    if (names.length === MAX_NAMES) break;
    if (entry.type === 'file' && matchesSearch(entry.path, value)) names.push(entry.path);
  }
  return names;
}
