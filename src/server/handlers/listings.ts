import { throwIfAborted } from '../../clock.ts';
import { writeFields } from '../../protocol/fields.ts';
import { CONTENT_TYPE } from '../../protocol/header.ts';
import { LISTING_PAGE_BYTES } from '../../protocol/limits.ts';
import type { Action } from '../../protocol/requests.ts';
import type { Unlisted } from '../../protocol/responses.ts';
import type { Answer, Exchange } from '../exchange.ts';
import { matchingFiles } from '../glob.ts';
import { visibleEntries } from '../visible-entries.ts';

/** `list`: what a directory holds, or the versions that are kept, in pages. */
export async function list(exchange: Exchange<'list'>): Promise<Answer> {
  const { fields, state } = exchange;
  const pages = new Pages(exchange, 'entries');
  const unlisted: Unlisted[] = [];
  for await (const entry of visibleEntries(state.store, state.grant.prefixes, fields.path, {
    recursive: fields.recursive === true,
    versions: fields.versions,
    onUnlisted: (path, count) => unlisted.push({ path, count }),
  })) {
    throwIfAborted(exchange.signal);
    if (pages.add(writeFields(entry))) await pages.send();
  }
  for (const each of unlisted) if (pages.add(each, 'unlisted')) await pages.send();
  return pages.last();
}

/** `search`: the files whose path contains or matches the query, in pages. */
export async function search(exchange: Exchange<'search'>): Promise<Answer> {
  const { fields, state } = exchange;
  const pages = new Pages(exchange, 'result');
  const entries = visibleEntries(state.store, state.grant.prefixes, '', { recursive: true });
  for await (const path of matchingFiles(entries, fields.query, exchange.signal))
    if (pages.add(path)) await pages.send();
  return pages.last();
}

type PageKey = 'entries' | 'result' | 'unlisted';

/** Gathers items into contents of JSON, each sent when it is full: memory does not grow with the listing. */
class Pages<A extends Action> {
  readonly #exchange: Exchange<A>;
  readonly #key: PageKey;
  #items = new Map<PageKey, string[]>();
  #bytes = 0;

  /** `key`: under which items stand, and that is there on each page. */
  constructor(exchange: Exchange<A>, key: 'entries' | 'result') {
    this.#exchange = exchange;
    this.#key = key;
    this.#items.set(key, []);
  }

  /** Takes an item, and answers whether the page is full by now. */
  add(item: unknown, key = this.#key): boolean {
    const text = JSON.stringify(item);
    const items = this.#items.get(key);
    if (items === undefined) this.#items.set(key, [text]);
    else items.push(text);
    this.#bytes += Buffer.byteLength(text) + 1;
    return this.#bytes >= LISTING_PAGE_BYTES;
  }

  /** Sends the page, and begins the next. */
  async send(): Promise<void> {
    await this.#exchange.part('more', this.last());
  }

  last(): Answer {
    const lists = [...this.#items].map(([key, items]) => `${JSON.stringify(key)}:[${items.join(',')}]`);
    const content = Buffer.from(`{${lists.join(',')}}`);
    this.#items = new Map([[this.#key, []]]);
    this.#bytes = 0;
    return { content, contentType: CONTENT_TYPE.json };
  }
}
