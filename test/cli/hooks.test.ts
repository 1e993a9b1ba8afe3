import { expect, test } from 'vitest';
import { callHook, parseHookUrl } from '../../src/cli/hooks.ts';
import { version } from '../../src/cli/version.ts';
import { SealiftError } from '../../src/errors.ts';
import { systemRandom } from '../../src/random.ts';
import { failureOf } from '../client/setting.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startHookService, type HookAnswer } from '../support/hook-service.ts';
import { REFUSING_PORT } from '../support/refusing-port.ts';
import { codeThrownBy } from '../thrown.ts';

const BODY = { command: 'put', exitCode: 0, files: 3 };

/** Calls a hook; while it is busy, time passes to the next timer whenever `mayPass` says so of its delay. */
async function callWhile(
  url: string,
  mayPass: (delayMs: number) => boolean,
  { clock = new FakeClock(), jitter = 0 } = {},
): Promise<void> {
  const calling = callHook(url, BODY, { clock, random: { ...systemRandom, fraction: () => jitter } });
  let isSettled = false;
  const settled = () => (isSettled = true);
  calling.then(settled, settled);
  while (!isSettled) {
    if (clock.nextDelayMs !== undefined && mayPass(clock.nextDelayMs)) clock.advance(clock.nextDelayMs);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(clock.pendingCount).toBe(0);
  return calling;
}

/** Retries at once, and with the limit of a request never reached. */
const call = (url: string) => callWhile(url, (delayMs) => delayMs === 0);

test('what happened is posted as JSON', async () => {
  const { origin, calls } = await startHookService();
  await call(`${origin}/ping/secret?a=b`);
  expect(calls).toEqual([
    { method: 'POST', path: '/ping/secret?a=b', body: BODY, headers: expect.any(Object) },
  ]);
  expect(calls[0]?.headers).toMatchObject({
    'content-type': 'application/json',
    'user-agent': `sealift/${version()}`,
  });
});

test.each<[string, (method: string, count: number) => HookAnswer, string[], string | undefined]>([
  ['204 will do', () => 204, ['POST'], undefined],
  ['404: GET', (method) => (method === 'POST' ? 404 : 200), ['POST', 'GET'], undefined],
  ['405: GET', (method) => (method === 'POST' ? 405 : 200), ['POST', 'GET'], undefined],
  ['501: GET', (method) => (method === 'POST' ? 501 : 200), ['POST', 'GET'], undefined],
  ['once 503: again', (_, count) => (count === 1 ? 503 : 200), ['POST', 'POST'], undefined],
  ['always 503: twice again', () => 503, ['POST', 'POST', 'POST'], 'answered 503'],
  ['403 is no reason to GET', () => 403, ['POST', 'POST', 'POST'], 'answered 403'],
  ['404 to both', () => 404, ['POST', 'GET', 'POST', 'GET', 'POST', 'GET'], 'answered 404'],
])('%s', async (_, answer, methods, failure) => {
  const { origin, calls } = await startHookService(({ method }, count) => answer(method, count));
  const calling = call(`${origin}/secret`);
  if (failure === undefined) await calling;
  else expect((await failureOf(calling)).message).toContain(`${origin} ${failure}.`);
  expect(calls.map(({ method }) => method)).toEqual(methods);
});

test('a redirect is followed', async () => {
  const { origin, calls } = await startHookService(({ path }) =>
    path === '/old' ? { status: 307, location: '/new' } : 200,
  );
  await call(`${origin}/old`);
  expect(calls).toMatchObject([{ path: '/old' }, { path: '/new', method: 'POST', body: BODY }]);
});

test('a name and a password in the URL are sent as a header', async () => {
  const { port, calls } = await startHookService();
  await call(`http://me:p%40ss@127.0.0.1:${port}/`);
  expect(calls[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:p@ss').toString('base64')}`);
});

test('a service that never answers is given up after three times ten seconds and the delays', async () => {
  const { port, origin, calls } = await startHookService(() => 'nothing');
  const clock = new FakeClock();
  let heard = 0;
  const calling = callWhile(
    `http://me:pass@127.0.0.1:${port}/secret`,
    (delayMs) => {
      // The limit of a request is reached only once it has come there.
      if (delayMs === 10_000 && calls.length === heard) return false;
      heard = calls.length;
      return true;
    },
    { clock, jitter: 1 },
  );
  const error = await failureOf(calling);
  expect(calls).toHaveLength(3);
  expect(clock.monotonicMs()).toBe(31_500);
  expect(error.message).toContain(`${origin} did not answer within 10 s.`);
  expect(error.message).not.toMatch(/pass|secret/);
});

test('a service that is not there is told without what is secret', async () => {
  const { message } = await failureOf(call(`http://me:pass@127.0.0.1:${REFUSING_PORT}/secret`));
  expect(message).toMatch(/^http:\/\/127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)\. Gave up/);
});

test('a hook ends when its signal fires', async () => {
  const stop = new AbortController();
  const { origin } = await startHookService(() => {
    stop.abort(new SealiftError('aborted', 'enough'));
    return 'nothing';
  });
  expect(await failureOf(callHook(origin, BODY, { signal: stop.signal }))).toMatchObject({ code: 'aborted' });
});

test.each(['', 'hc.example/ping', 'ftp://hc.example/', 'file:///etc/passwd', 'https://'])(
  '%j is no URL for a hook',
  (text) => {
    expect(codeThrownBy(() => parseHookUrl(text))).toBe('usage');
  },
);

test.each(['http://hc.example/secret', 'https://me:pass@hc.example:8443/a?b#c'])('%j is one', (text) => {
  expect(parseHookUrl(text)).toBe(text);
});
