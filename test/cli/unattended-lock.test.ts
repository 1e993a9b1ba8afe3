import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { connectorTo } from '../client/setting.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startHookService } from '../support/hook-service.ts';
import { REFUSING_PORT } from '../support/refusing-port.ts';
import { events } from '../support/running-process.ts';
import { startScriptedServer, type Script } from '../support/scripted-server.ts';
import { temporaryDirectory } from '../support/test-server.ts';
import { endless, ends, fails, runUnattended, type Work } from './unattended-setting.ts';

let report: string;

beforeEach(async () => {
  report = join(await temporaryDirectory(), 'report');
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => vi.restoreAllMocks());

/** A server that grants the lock, unless `script` says otherwise, and a connector to it. */
async function lockServer(script: Script = {}) {
  const ok: Script[string] = ({ answer }) => void answer({ status: 'ok' });
  const server = await startScriptedServer({ lock: ok, unlock: ok, ...script });
  const actions = () => server.requests.map(({ header }) => header['action']);
  return { connector: connectorTo(server.address, server.pin), actions };
}

const locked: Script[string] = ({ answer }) =>
  void answer({ status: 'error', code: 'locked', message: 'held', retryable: true });

test('the lock is held while the work is done, and given back', async () => {
  const { connector, actions } = await lockServer();
  const seen: unknown[] = [];
  const work: Work = async (context) => {
    seen.push(...actions());
    return ends(0)(context);
  };
  expect((await runUnattended({ lock: 'nightly' }, work, { connector })).code).toBe(0);
  expect(seen).toEqual(['lock']);
  expect(actions()).toEqual(['lock', 'unlock']);
});

test('the lock of another run: 12, with nothing done, and its report as it was', async () => {
  const { connector } = await lockServer({ lock: locked });
  writeFileSync(report, 'of the other run');
  const work = vi.fn(ends(0));
  const { code, told } = await runUnattended({ lock: 'nightly', report }, work, { connector });
  expect(code).toBe(12);
  expect(told).toMatchObject([
    { type: 'error', code: 'locked' },
    { type: 'summary', exitCode: 12 },
  ]);
  expect(work).not.toHaveBeenCalled();
  expect(readFileSync(report, 'utf8')).toBe('of the other run');
});

test('a run that finds another at work leaves it its report', async () => {
  writeFileSync(report, 'of the other run');
  expect((await runUnattended({ report }, fails('locked'))).code).toBe(12);
  expect(readFileSync(report, 'utf8')).toBe('of the other run');
});

test('the lock of another run that ends is waited for', async () => {
  let tries = 0;
  const { connector } = await lockServer({
    lock: (request) =>
      (tries += 1) < 2 ? locked(request) : void request.answer({ status: 'ok', 'ttl-ms': 60_000 }),
  });
  expect((await runUnattended({ lock: 'nightly', retryLock: 60_000 }, ends(0), { connector })).code).toBe(0);
  expect(tries).toBe(2);
});

test('the lock is not waited for beyond --max-duration', async () => {
  const { connector } = await lockServer({ lock: locked });
  const settings = { lock: 'nightly', retryLock: 3_600_000, maxDuration: 1 };
  const { code, told } = await runUnattended(settings, ends(0), { connector });
  expect(code).toBe(8);
  expect(told[0]).toMatchObject({ type: 'error', code: 'timeout' });
});

test('the lock whose server cannot be reached: 7, and the report says why', async () => {
  writeFileSync(report, 'of yesterday');
  const connector = connectorTo({ host: '127.0.0.1', port: REFUSING_PORT }, 'sha256//AAAA');
  const { code } = await runUnattended({ lock: 'nightly', report }, ends(0), { connector });
  expect(code).toBe(7);
  expect(events(readFileSync(report, 'utf8'))).toMatchObject([
    { type: 'error', code: 'connection-refused' },
    { type: 'summary', exitCode: 7 },
  ]);
});

test('the lock is nothing for a dry run, nor are the report and the hooks', async () => {
  const { origin, calls } = await startHookService();
  const { connector, actions } = await lockServer();
  writeFileSync(report, 'of the last run');
  const settings = { dryRun: true, lock: 'nightly', report, onStart: origin, onSuccess: origin };
  expect((await runUnattended(settings, ends(0), { connector })).code).toBe(0);
  expect(actions()).toEqual([]);
  expect(calls).toEqual([]);
  expect(readFileSync(report, 'utf8')).toBe('of the last run');
});
test('the lock that is lost ends the run: 12', async () => {
  const clock = new FakeClock();
  let asked = 0;
  const { connector } = await lockServer({
    lock: (request) => ((asked += 1) > 1 ? locked(request) : void request.answer({ status: 'ok' })),
  });
  const work: Work = (context) => {
    // A third of the three minutes for which it was granted.
    clock.advance(60_000);
    return endless(context);
  };
  const { code, told } = await runUnattended({ lock: 'nightly', report }, work, { connector, clock });
  expect(code).toBe(12);
  const error = { type: 'error', code: 'locked', message: expect.stringContaining('was lost') };
  expect(told).toMatchObject([error, { type: 'summary', exitCode: 12 }]);
  expect(events(readFileSync(report, 'utf8'))).toMatchObject(told);
});
