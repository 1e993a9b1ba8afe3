import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { judged } from '../../../src/diagnostics/bench/judgement.ts';
import type { Measurement, Unmeasured } from '../../../src/diagnostics/bench/measurement.ts';
import { benchRemote, type RemoteBenchOptions } from '../../../src/diagnostics/bench/remote.ts';
import { CIPHER_SUITES } from '../../../src/diagnostics/bench/works.ts';
import { BLOCK_BYTES } from '../../../src/protocol/limits.ts';
import { failureOf, startSetting, type Setting } from '../../client/setting.ts';
import { startScriptedServer } from '../../support/scripted-server.ts';
import { temporaryDirectory, tokenOf, usersToml, type TestUser } from '../../support/test-server.ts';

const MAX_BYTES = 12 * BLOCK_BYTES;

/** A server that one principal is let into. */
async function startFor(tester: TestUser): Promise<Setting> {
  const usersFile = join(await temporaryDirectory(), 'users.toml');
  await writeFile(usersFile, usersToml({ tester }), { mode: 0o600 });
  return startSetting({}, { anonymous: 'none', usersFile });
}

/** Through the proxy, as the principal if there is one. */
function bench(
  { proxy, server }: Setting,
  options: Partial<RemoteBenchOptions> = {},
): AsyncGenerator<Measurement | Unmeasured> {
  const token = server.principalCount === 0 ? undefined : tokenOf('tester');
  return benchRemote({
    connect: { address: { host: proxy.host, port: proxy.port }, pins: [server.pin], token },
    directory: '',
    durationMs: 100,
    maxBytes: MAX_BYTES,
    maxStreams: 3,
    onConnected: () => undefined,
    signal: new AbortController().signal,
    ...options,
  });
}

async function assertNothingLeft({ root }: Setting): Promise<void> {
  expect(await readdir(root)).toEqual(['.sealift']);
  expect(await readdir(join(root, '.sealift/uploads'))).toEqual([]);
}

test('measures each thing by itself, sends no more than it may, and leaves nothing behind', async () => {
  const setting = await startSetting();
  const results = await Array.fromAsync(bench(setting));
  expect(results.map(({ kind, name }) => `${kind} ${name}`.trim())).toEqual([
    'round-trip',
    'handshake',
    'plain',
    ...CIPHER_SUITES.map((suite) => `cipher ${suite}`),
    'streams 2',
    'streams 3',
    expect.stringMatching(/^hash (blake3|sha256)$/),
    'stored',
  ]);
  const [plain] = results.splice(2, 1);
  expect(plain).toEqual({ kind: 'plain', name: '', reason: 'This needs a server with --bench.' });
  for (const result of results) {
    expect(result).toMatchObject({ count: expect.any(Number), latency: { p50: expect.any(Number) } });
  }
  // All that came through the proxy: contents, and little besides.
  expect(setting.proxy.bytesUp).toBeGreaterThan(5 * BLOCK_BYTES);
  expect(setting.proxy.bytesUp).toBeLessThan(MAX_BYTES + 200_000);
  expect(judged(results)).toMatchObject({ bottleneck: expect.any(String) });
  await assertNothingLeft(setting);
});

test('who may not write measures nothing', async () => {
  const setting = await startFor({ permissions: ['read', 'list', 'delete'] });
  expect((await failureOf(Array.fromAsync(bench(setting)))).code).toBe('forbidden');
  expect(setting.proxy.bytesUp).toBeLessThan(20_000);
});

test('what is refused of one measurement is told, and the others go on', async () => {
  const setting = await startFor({ limits: 'prefixes = ["inside"]\nmax-connections = 2' });
  const results = await Array.fromAsync(bench(setting));
  const refused = results.flatMap((each) => ('reason' in each ? [`${each.kind} ${each.name}`.trim()] : []));
  expect(refused).toEqual(['plain', 'streams 3', 'stored']);
  expect(judged(results)).toBeUndefined();
  await assertNothingLeft(setting);
  const inside = await Array.fromAsync(bench(setting, { directory: 'inside', maxStreams: 2 }));
  expect(inside.filter((each) => 'reason' in each)).toMatchObject([{ kind: 'plain' }]);
  await assertNothingLeft(setting);
});

test('measures TCP without TLS where the server allows that, twice in a row', async () => {
  const setting = await startSetting({}, { plainBench: true });
  for (const round of [1, 2]) {
    const results = await Array.fromAsync(bench(setting, { maxStreams: 1 }));
    const plain = results.find(({ kind }) => kind === 'plain');
    expect([round, plain]).toMatchObject([round, { bytes: expect.any(Number), latency: expect.anything() }]);
  }
});

test('is told to stop while blocks are stored, and leaves nothing behind', async () => {
  const setting = await startSetting();
  const controller = new AbortController();
  const uploads = () => readdir(join(setting.root, '.sealift/uploads'));
  const stopOnceStoring = async () => {
    while ((await uploads()).length === 0) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
  };
  const stopping = stopOnceStoring();
  const bounds = { durationMs: 700, maxBytes: 2 ** 30, maxStreams: 1, signal: controller.signal };
  expect((await failureOf(Array.fromAsync(bench(setting, bounds)))).code).toBe('aborted');
  await stopping;
  expect(await uploads()).toEqual([]);
});

test('a server that takes no part in it is told from one that refuses', async () => {
  const unsupported = { status: 'error', code: 'unsupported', message: 'No such action.', retryable: false };
  const { address, pin } = await startScriptedServer({ bench: ({ answer }) => answer(unsupported) });
  const setting = { proxy: address, server: { pin, principalCount: 0 } } as unknown as Setting;
  expect((await failureOf(Array.fromAsync(bench(setting)))).code).toBe('unsupported');
});

test('too few bytes for all of it are none', async () => {
  const setting = await startSetting();
  const { code } = await failureOf(Array.fromAsync(bench(setting, { maxBytes: 6 * BLOCK_BYTES })));
  expect(code).toBe('invalid-argument');
});
