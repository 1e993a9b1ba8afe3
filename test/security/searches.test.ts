import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { MemoryStore } from '../../src/storage/memory-store.ts';
import { putText } from '../contract/store/samples.ts';
import { startAttackedServer } from '../support/attacked-server.ts';
import type { RawClient } from '../support/raw-client.ts';
import { startTestServer } from '../support/test-server.ts';

const NAME = 'a'.repeat(255);
/** Stands for a list in a list in a list, which cannot be written by `JSON.stringify`. */
const DEEP_MARK = 'deep';
const deepPath = (components: number) => Array<string>(components).fill(NAME).join('/');

async function found(client: RawClient, query: string): Promise<string[]> {
  const { content, parts } = await client.askOk('search', { query });
  // Where it takes long, it says so in between.
  const pages = parts.filter(({ header }) => header['status'] === 'more').map((part) => part.content);
  return [...pages, content].flatMap((page) => (JSON.parse(page.toString()) as { result: string[] }).result);
}

describe('hazard 23: searches that cost more than they are worth', () => {
  test.each([
    ['a thousand stars', '*'.repeat(1_000) + 'b'],
    ['stars and letters', '*a'.repeat(500) + 'b'],
    ['pairs of stars and letters', '**a'.repeat(341)],
    ['question marks', '?'.repeat(1_024)],
    ['brackets and braces, which mean themselves', '(a+)+$[^a]{1,9999}'.repeat(50)],
  ])('%s, against paths of four thousand bytes', async (_, query) => {
    const { login, root, assertAlive } = await startAttackedServer();
    const directory = deepPath(14);
    // The kernel takes no path as long as ours at once.
    mkdirSync(join(root, directory), { recursive: true });
    for (let index = 0; index < 20; index += 1)
      writeFileSync(join(root, directory, `${NAME.slice(0, 200)}${index}`), '');
    const client = await login();
    const matches = await found(client, query);
    expect(matches.length === 0 || query.startsWith('**a')).toBe(true);
    await assertAlive();
  });

  test('are no burden to others: each has its turns, and they have theirs', async () => {
    const store = new MemoryStore();
    for (let index = 0; index < 50; index += 1) await putText(store, `${deepPath(15)}/${index}`, '');
    const { login } = await startTestServer({ store });
    const [searching, witness] = [await login(), await login()];
    const state = { areOver: false };
    const query = '**a'.repeat(340) + 'b';
    const searches = [found(searching, query), found(searching, query)];
    const over = Promise.all(searches).finally(() => (state.areOver = true));
    let answered = 0;
    for (; !state.areOver; answered += 1) await witness.ask('ping');
    await over;
    expect(answered).toBeGreaterThan(10);
  });

  test('what is longer than a thousand characters is refused, in the tutorial dialect too', async () => {
    const { login, connect } = await startAttackedServer({ allowNoAlpn: true, anonymous: 'read' });
    const client = await login();
    expect((await client.ask('search', { query: '*'.repeat(1_025) })).header['code']).toBe('bad-request');
    const stranger = await connect({ alpn: [] });
    const ask = async (request: object) => {
      const content = Buffer.from(
        JSON.stringify(request).replace(JSON.stringify(DEEP_MARK), '['.repeat(20_000) + ']'.repeat(20_000)),
      );
      stranger.send({}, { content, contentType: 'text/json' });
      return stranger.take();
    };
    expect((await ask({ action: 'search', value: '*a'.repeat(20_000) })).header['code']).toBe('bad-request');
    // What has a conversion of its own, or is too deep to be written again, is no reason to fail.
    for (const odd of [{ toString: 1 }, null, 7, ['a'], { valueOf: {}, toString: {} }, DEEP_MARK])
      for (const request of [
        { action: 'search', value: odd },
        { action: odd, value: 'x' },
      ])
        expect((await ask(request)).header['code'] ?? 'bad-request').toBe('bad-request');
    expect((await ask({ action: 'search', value: 'x' })).content.toString()).toBe(
      `{"result":"No match for 'x'."}`,
    );
  });

  test('the answer of the tutorial dialect fits a message, whatever is found', async () => {
    const { connect, root } = await startAttackedServer({ allowNoAlpn: true, anonymous: 'read' });
    const directory = join(root, deepPath(12));
    mkdirSync(directory, { recursive: true });
    for (let index = 0; index < 400; index += 1) writeFileSync(join(directory, `${index}`), '');
    const stranger = await connect({ alpn: [] });
    stranger.send({}, { content: Buffer.from('{"action":"search","value":"a"}'), contentType: 'text/json' });
    const { header, content } = await stranger.take();
    expect(header['code']).toBeUndefined();
    const { result } = JSON.parse(content.toString()) as { result: string };
    expect(result.split('\n').length).toBeGreaterThan(100);
  });
});

describe('hazard 31: a listing of very many names', () => {
  test('comes in pages, while others are served and the client may leave', async () => {
    const { login, root, assertAlive } = await startAttackedServer();
    for (let index = 0; index < 1_500; index += 1)
      writeFileSync(join(root, `${index}`.padStart(250, '0')), '');
    const client = await login();
    const leaving = await login();
    leaving.begin('list', { path: '', recursive: true });
    const listing = client.begin('list', { path: '' });
    await leaving.destroy();
    await assertAlive();
    const { parts, content } = await client.answer(listing);
    expect(parts.length).toBeGreaterThan(1);
    for (const page of parts) expect(page.content.length).toBeLessThan(300_000);
    const names = [...parts.map((part) => part.content), content].flatMap(
      (page) => (JSON.parse(page.toString()) as { entries: unknown[] }).entries,
    );
    expect(names).toHaveLength(1_500);
  });
});
