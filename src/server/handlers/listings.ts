import { throwIfAborted } from '../../clock.ts';
import { writeFields } from '../../protocol/fields.ts';
import { CONTENT_TYPE } from '../../protocol/header.ts';
import { LISTING_PAGE_BYTES } from '../../protocol/limits.ts';
import type { Action } from '../../protocol/requests.ts';
import type { Answer, Exchange } from '../exchange.ts';
import { matchesSearch } from '../glob.ts';
import { visibleEntries } from '../visible-entries.ts';

/** `list`: what a directory holds, or the versions that are kept, in pages. */
export async function list(exchange: Exchange<'list'>): Promise<Answer> {
  const { fields, state } = exchange;
  const pages = new Pages(exchange, 'entries');
  for await (const entry of visibleEntries(state.store, state.grant.prefixes, fields.path, {
    recursive: fields.recursive === true,
    versions: fields.versions,
  })) {
    throwIfAborted(exchange.signal);
    if (pages.add(writeFields(entry))) await pages.send();
  }
  return pages.last();
}

/** `search`: the files whose path contains or matches the query, in pages. */
export async function search(exchange: Exchange<'search'>): Promise<Answer> {
  const { fields, state } = exchange;
  const pages = new Pages(exchange, 'result');
  for await (const entry of visibleEntries(state.store, state.grant.prefixes, '', {
    recursive: true,
  })) {
    throwIfAborted(exchange.signal);
    if (entry.type === 'file' && matchesSearch(entry.path, fields.query) && pages.add(entry.path))
      await pages.send();
  }
  return pages.last();
}

/** Gathers items into contents of JSON, each sent when it is full: memory does not grow with the listing. */
class Pages<A extends Action> {
  readonly #exchange: Exchange<A>;
  readonly #key: string;
  #items: string[] = [];
  #bytes = 0;

  constructor(exchange: Exchange<A>, key: 'entries' | 'result') {
    this.#exchange = exchange;
    this.#key = key;
  }

  /** Takes an item, and answers whether the page is full by now. */
  add(item: unknown): boolean {
    const text = JSON.stringify(item);
    this.#items.push(text);
    this.#bytes += Buffer.byteLength(text) + 1;
    return this.#bytes >= LISTING_PAGE_BYTES;
  }

  /** Sends the page, and begins the next. */
  async send(): Promise<void> {
    await this.#exchange.part('more', this.last());
  }

  last(): Answer {
    const content = Buffer.from(`{${JSON.stringify(this.#key)}:[${this.#items.join(',')}]}`);
    this.#items = [];
    this.#bytes = 0;
    return { content, contentType: CONTENT_TYPE.json };
  }
}
