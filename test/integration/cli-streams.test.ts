import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startFaultProxy, type FaultProxy } from '../../src/transport/fault-proxy.ts';
import { systemClock } from '../../src/clock.ts';
import { systemRandom } from '../../src/random.ts';
import { noise } from '../client/setting.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';

const MIB = 2 ** 20;
const home = new CliHome();
let server: ServeProcess;
let proxy: FaultProxy;
const place = (path: string) => `sealift://${proxy.host}:${proxy.port}/${path}`;
const large = noise(9 * MIB + 1);
const words = Buffer.alloc(5 * MIB, 'of these words there are many, ');

beforeAll(async () => {
  server = await home.serve(['--max-connections-per-address', '3']);
  const target = { host: server.host, port: server.port };
  proxy = await startFaultProxy({ target, clock: systemClock, random: systemRandom });
  home.trust(`${proxy.host}:${proxy.port}`, server.pin);
  home.write('work/tree/large', large);
  home.write('work/tree/words', words);
  home.write('work/tree/small', 'small');
});
afterAll(async () => {
  await proxy.close();
  await home.close();
});

/** Runs a command, and tells how many connections and bytes that took. */
async function counted(args: readonly string[], options = {}) {
  const before = { connections: proxy.connections, up: proxy.bytesUp, down: proxy.bytesDown };
  const ended = await home.run(args, options);
  return {
    ...ended,
    connections: proxy.connections - before.connections,
    moved: Math.max(proxy.bytesUp - before.up, proxy.bytesDown - before.down),
  };
}

const expectSame = (directory: string) => {
  expect(readFileSync(home.at(directory, 'large')).equals(large)).toBe(true);
  expect(readFileSync(home.at(directory, 'words')).equals(words)).toBe(true);
  expect(readFileSync(home.at(directory, 'small'), 'utf8')).toBe('small');
};

describe('--streams', () => {
  test.each(['3', '1'])('%s holds for the large files of a tree, both ways', async (streams) => {
    const there = `there${streams}`;
    const sent = await counted(['sync', '--streams', streams, 'tree', place(there)]);
    expect(sent).toMatchObject({ code: 0, connections: Number(streams) });
    expectSame(`root/${there}`);
    const fetched = await counted(['get', '-r', '--streams', streams, place(there), `back${streams}`]);
    expect(fetched).toMatchObject({ code: 0, connections: Number(streams) });
    expectSame(`work/back${streams}`);
  });

  test('that the server does not admit are done without, which is said once', async () => {
    const { code, stderr } = await counted([
      'put',
      '--streams',
      '9',
      'tree/large',
      'tree/words',
      place('few/'),
    ]);
    expect(code).toBe(0);
    expect(stderr.match(/Going on with fewer connections than --streams asks for: /g)).toHaveLength(1);
    const { events } = await home.runJson(['get', '--streams', '9', place('few/large'), 'few']);
    expect(events.filter(({ type }) => type === 'warning')).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ type: 'summary', exitCode: 0, retries: 0 });
    expect(readFileSync(home.at('work', 'few')).equals(large)).toBe(true);
  });

  test('has to be a number from 1', async () => {
    const { code, stderr } = await home.run(['put', '--streams', '0', 'tree/large', place('none')]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--streams/);
  });
});

describe('-z', () => {
  test('lets what shrinks travel shorter, both ways, and also to standard output', async () => {
    const limit = large.length + 200_000;
    const sent = await counted(['put', '-rz', 'tree/', place('short')]);
    expect(sent.code).toBe(0);
    expect(sent.moved).toBeLessThan(limit);
    expectSame('root/short');
    const { code, moved } = await counted(['sync', '-z', place('short'), 'short']);
    expect(code).toBe(0);
    expect(moved).toBeLessThan(limit);
    expectSame('work/short');
    const shown = await counted(['cat', '-z', place('short/words')]);
    expect(shown.bytes.equals(words)).toBe(true);
    expect(shown.moved).toBeLessThan(200_000);
  });

  test('may stand in the environment', async () => {
    const env = { SEALIFT_COMPRESS: '1' };
    const { code, moved } = await counted(['put', 'tree/words', place('set')], { env });
    expect(code).toBe(0);
    expect(moved).toBeLessThan(200_000);
  });
});
