import { afterAll, describe, expect, test } from 'vitest';
import { MemoryStore } from '../../src/storage/memory-store.ts';
import { runHere } from '../cli/run-here.ts';
import { CliHome } from '../support/cli.ts';
import { plantTree } from '../support/planted-tree.ts';
import { startTestServer, tokenOf } from '../support/test-server.ts';

const home = new CliHome();
afterAll(() => home.close());

/** A store on a file system to which `a` and `A` are one name. */
class BlindStore extends MemoryStore {
  override readonly features = { ...new MemoryStore().features, distinguishesCase: false };
}

const TREE = { 'Read.me': 'one', 'read.me': 'two', 'dir/x': 'x', other: 'other' };

async function serveTo(store: MemoryStore) {
  const { address } = await startTestServer({ store });
  const place = `sealift://127.0.0.1:${(address as { port: number }).port}/`;
  const run = (...args: string[]) =>
    runHere(home, [...args, '--insecure'], { SEALIFT_TOKEN: tokenOf('tester') });
  return { place, run };
}

describe('names that are one to a server blind to case', () => {
  test.each(['put -r', 'sync', 'sync --delete'])(
    '%s: listed with the position, skipped, 3',
    async (command) => {
      const store = new BlindStore();
      const { place, run } = await serveTo(store);
      const tree = await plantTree(home.at(command), TREE);
      const args = [...command.split(' '), '--json', `${tree}/`, place];
      const dry = await run(...args, '-n');
      const { code, events } = await run(...args);
      for (const ended of [dry, { code, events }]) {
        expect(ended.code).toBe(3);
        expect(ended.events.filter(({ type }) => type === 'error')).toMatchObject([
          {
            code: 'bad-name',
            message: expect.stringMatching(/"read\.me".*"Read\.me".*position 0/),
          },
        ]);
      }
      expect(events.at(-1)).toMatchObject({ files: 3, failed: 1, exitCode: 3 });
      const names = await Array.fromAsync(store.list('', { recursive: true }), ({ path }) => path);
      expect(names.sort()).toEqual(['Read.me', 'dir', 'dir/x', 'other']);
    },
  );
});

test('to another server both go', async () => {
  const { place, run } = await serveTo(new MemoryStore());
  const tree = await plantTree(home.at('distinct'), TREE);
  expect(await run('sync', `${tree}/`, place)).toMatchObject({ code: 0 });
});

test('a name that no path can say is listed with what is wrong in it, and skipped: 3', async () => {
  const { place, run } = await serveTo(new MemoryStore());
  const tree = await plantTree(home.at('odd'), { fine: 'fine', 'bell\u0007': 'x', z: 'z' });
  const { code, events } = await run('sync', '--json', tree, place);
  expect(code).toBe(3);
  expect(events.filter(({ type }) => type === 'error')).toMatchObject([
    { code: 'bad-name', message: expect.stringMatching(/U\+0007|\\u0007/) },
  ]);
  expect(events.at(-1)).toMatchObject({ files: 2, failed: 1, exitCode: 3 });
});

test("names that are the program's own are told as skipped, directories as one: 0", async () => {
  const store = new MemoryStore();
  const { place, run } = await serveTo(store);
  const part = '.sealift-aaaaaaaaaaaaaaaa.part';
  const left = '.sealift-0123456789abcdef.part';
  const tree = await plantTree(home.at('own'), {
    ...{ fine: 'fine', 'se1234~1': 'x', '.SEALIFT/doc': 'd', 'sub/.sealift/q': 'q', [`${part}/doc`]: 'd' },
    [left]: 'what a transfer left',
  });
  const reserved = ['.SEALIFT', part, 'se1234~1', 'sub/.sealift'];
  for (const args of [
    ['sync', '-n'],
    ['sync', '--delete'],
    ['put', '-r'],
    ['check', '--repair'],
  ]) {
    const { code, events } = await run(...args, '--json', `${tree}/`, place);
    expect([code, events.at(-1)]).toMatchObject([0, { type: 'summary', skipped: 4, failed: 0 }]);
    const told = events.filter(({ type, action, skipped }) =>
      args.includes('-n') ? type === 'plan' && action === 'skip' : skipped === true,
    );
    expect(told.map(({ path }) => String(path).replace(`${tree}/`, '')).sort()).toEqual(reserved);
  }
  expect((await run('check', `${tree}/`, place)).stderr).toContain(
    'sub/.sealift: a name that Sealift keeps for itself, skipped\n',
  );
});

test('what a target has under such a name stays, and such a name alone makes no source of an empty one', async () => {
  const store = new MemoryStore();
  const { place, run } = await serveTo(store);
  const part = '.sealift-aaaaaaaaaaaaaaaa.part';
  const there = await plantTree(home.at('there'), { doc: 'd' });
  expect((await run('sync', there, `${place}${part}`)).code).toBe(0);
  const tree = await plantTree(home.at('kept'), { fine: 'fine', [`${part}/other`]: 'o' });
  expect((await run('sync', '--delete', `${tree}/`, place)).code).toBe(0);
  const names = await Array.fromAsync(store.list('', { recursive: true }), ({ path }) => path);
  expect(names.sort()).toEqual([part, `${part}/doc`, 'fine']);
  expect((await run('check', `${tree}/`, place)).code).toBe(0);
  const empty = await plantTree(home.at('empty'), { '.sealift/key': 'secret' });
  expect((await run('sync', '--delete', `${empty}/`, place)).code).toBe(13);
});
