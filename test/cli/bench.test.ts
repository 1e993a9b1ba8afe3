import { readdir } from 'node:fs/promises';
import { afterAll, expect, test } from 'vitest';
import { MEASUREMENT_KINDS } from '../../src/diagnostics/bench/measurement.ts';
import { BOTTLENECKS } from '../../src/diagnostics/bench/verdict.ts';
import { CliHome } from '../support/cli.ts';
import { startDirectoryServer } from '../support/test-server.ts';
import { runHere, type RanHere } from './run-here.ts';

const home = new CliHome();
afterAll(() => home.close());

async function benched(anonymous: 'read' | 'write', ...args: string[]): Promise<RanHere> {
  const { server } = await startDirectoryServer({ anonymous, plainBench: true });
  const { port } = server.address as { port: number };
  const bounds = ['--duration', '50ms', '--max-bytes', '10M', '--streams', '2'];
  return runHere(home, ['bench', `127.0.0.1:${port}`, '--pin', server.pin, ...bounds, ...args]);
}

test('a table with bars, and the verdict', async () => {
  const { code, stdout, stderr } = await benched('write');
  expect(code).toBe(0);
  expect(stderr).toMatch(
    /^Measuring 127\.0\.0\.1:\d+ \(TLSv1\.3, TLS_\S+\) for 50ms, with at most 10\.0M \.\.\.\n$/,
  );
  const lines = stdout.split('\n');
  const [head, ...rows] = lines.slice(0, lines.indexOf(''));
  expect(head).toMatch(/^ +p50 +p95 +p99 ms$/);
  expect(rows.map((row) => row.slice(0, 29).trim())).toEqual([
    'round trip',
    'full handshakes',
    'TCP without TLS',
    'TLS_AES_256_GCM_SHA384',
    'TLS_AES_128_GCM_SHA256',
    'TLS_CHACHA20_POLY1305_SHA256',
    '2 connections',
    expect.stringMatching(/^hash with /),
    'stored by the server',
  ]);
  for (const row of rows) expect(row).toMatch(/^.{29} *[\d.]+[BKMG]?\/s {2}[█▏▎▍▌▋▊▉▶ ]{17}( +[\d.]+){3}$/);
  expect(Math.max(...lines.slice(0, 10).map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(rows.some((row) => row.includes('████████████████'))).toBe(true);
  expect(stdout).toMatch(/\nThe bottleneck is [a-zA-Z ]+:\n.+\.\n.+\.\n$/);
});

test('with --json one object a measurement, and the sum', async () => {
  const { code, events } = await benched('write', '--json');
  expect(code).toBe(0);
  const ms = expect.any(Number);
  for (const event of events.slice(0, -1)) {
    expect(event).toEqual({
      type: 'measurement',
      kind: expect.toSatisfy((kind) => MEASUREMENT_KINDS.includes(kind)),
      name: expect.any(String),
      count: expect.any(Number),
      seconds: expect.any(Number),
      bytes: expect.any(Number),
      perSecond: expect.any(Number),
      bytesPerSecond: expect.any(Number),
      latencyMs: { min: ms, avg: ms, max: ms, mdev: ms, p50: ms, p95: ms, p99: ms },
    });
  }
  expect(events.at(-1)).toEqual({
    type: 'summary',
    bytes: expect.toSatisfy((bytes) => bytes <= 10 * 2 ** 20),
    seconds: expect.any(Number),
    verdict: {
      bottleneck: expect.toSatisfy((bottleneck) => BOTTLENECKS.includes(bottleneck)),
      reason: expect.any(String),
      remedy: expect.any(String),
    },
    tlsVersion: 'TLSv1.3',
    cipher: expect.stringMatching(/^TLS_/),
    exitCode: 0,
  });
});

test('who may not write is refused: 5', async () => {
  const { code, stdout, stderr } = await benched('read');
  expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
  expect(stderr).toMatch(/^sealift: bench: forbidden: .*"write"/);
});

test('what is required has to hold: 15', async () => {
  const { code, events } = await benched(
    'write',
    '--json',
    '--require',
    'rate>=1000T',
    '--require',
    'rtt<=1h',
  );
  expect(code).toBe(15);
  expect(events).toContainEqual(expect.objectContaining({ type: 'summary', exitCode: 15 }));
  expect(events.at(-1)).toMatchObject({ code: 'condition-failed', details: { failed: ['rate>=1000T'] } });
});

test('--local measures this machine alone, and leaves its directory as it was', async () => {
  const args = ['--duration', '20ms', '--max-bytes', '4M', '--dir', home.at('work')];
  const { code, stdout } = await runHere(home, ['bench', '--local', ...args]);
  expect(code).toBe(0);
  for (const label of ['copy in memory', 'hash with sha256', 'TLS_AES_128_GCM_SHA256', 'write and sync'])
    expect(stdout).toContain(label);
  expect(await readdir(home.at('work'))).toEqual([]);
});

test.each([
  ['neither a server nor this machine', [], 'or sealift bench --local'],
  ['both', ['127.0.0.1:1', '--local'], 'or sealift bench --local'],
  ['a path that leads out', ['127.0.0.1:1', '--path', '../x'], '--path'],
  ['what no server is there to show', ['--local', '--require', 'rate>=100T'], 'What --require asks for'],
  ['too few bytes', ['--local', '--max-bytes', '1M'], '1.0M are too few bytes for 4 measurements'],
])('%s is a usage error', async (_, args, message) => {
  const { code, stdout, stderr } = await runHere(home, ['bench', ...args]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
});
