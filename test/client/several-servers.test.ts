import { expect, onTestFinished, test } from 'vitest';

import type { ConnectOptions } from '../../src/client/connect.ts';
import { Connector } from '../../src/client/connector.ts';
import { formatAddress } from '../../src/transport/address.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { failureOf, MIB, noise, send, startSetting, type Setting } from './setting.ts';

/** How to reach the server of a setting through its proxy. */
function to({ proxy, server }: Setting): ConnectOptions {
  return { address: { host: proxy.host, port: proxy.port }, pins: [server.pin], clock: new FakeClock() };
}

function connectorTo(...settings: [Setting, ...Setting[]]) {
  const [first, ...others] = settings.map(to) as [ConnectOptions, ...ConnectOptions[]];
  const moves: string[] = [];
  const connector = new Connector(first, {
    others,
    onMovingOn: ({ code }, { address }) => void moves.push(`${code} ${formatAddress(address)}`),
  });
  onTestFinished(() => connector[Symbol.asyncDispose]());
  return { connector, moves };
}

test('while the first server is there, the others are left alone', async () => {
  const [one, two] = [await startSetting(), await startSetting()];
  const { connector, moves } = connectorTo(one, two);
  expect((await connector.use()).address).toEqual(to(one).address);
  expect([two.proxy.connections, moves]).toEqual([0, []]);
});

test('a server that is down is passed over at once, and each is believed by its own pins', async () => {
  const [one, two] = [await startSetting({ refuse: true }), await startSetting()];
  const { connector, moves } = connectorTo(one, two);
  expect((await connector.use()).peer.port).toBe(two.proxy.port);
  expect(moves).toEqual([`connection-lost ${formatAddress(to(two).address)}`]);
  // Also what works on the same file: the first one, which is back, knows nothing of it.
  one.proxy.faults = {};
  const [, second] = connector.streams(2);
  expect((await second?.use())?.peer.port).toBe(two.proxy.port);
});

test('when all are down the last failure is told, and all are tried the next time', async () => {
  const [one, two] = [await startSetting({ refuse: true }), await startSetting({ refuse: true })];
  const { connector } = connectorTo(one, two);
  const failure = await failureOf(connector.use());
  expect(failure.retryable).toBe(true);
  expect(failure.message).toContain(String(two.proxy.port));
  one.proxy.faults = {};
  expect((await connector.use()).peer.port).toBe(one.proxy.port);
});

test.each([
  ['is not the right one', {}, [`sha256//${Buffer.alloc(32).toString('base64')}`], 'pin-mismatch'],
  ['does not let us in', { anonymous: 'none' }, undefined, 'unauthenticated'],
] as const)('a server that %s is not passed over: that has to be known', async (_, options, pins, code) => {
  const one = await startSetting({}, options);
  const first = to(one);
  let isLeft = false;
  const connector = new Connector(
    { ...first, pins: pins ?? first.pins },
    { others: [first], onMovingOn: () => (isLeft = true) },
  );
  onTestFinished(() => connector[Symbol.asyncDispose]());
  expect((await failureOf(connector.use())).code).toBe(code);
  expect(isLeft).toBe(false);
});

test('an upload stays with the server that has begun it, on all its connections', async () => {
  const [one, two] = [await startSetting(), await startSetting()];
  const { connector } = connectorTo(one, two);
  const content = noise(4 * MIB);
  one.proxy.faults = { cut: { afterBytes: 2 * MIB, direction: 'up', times: 1 } };
  // When it comes back it is away for a moment, and then the other one is no help.
  const onRetry = ({ retry }: { retry: number }) => (one.proxy.faults = { refuse: retry === 1 });
  const source = await one.local(content);
  const { receipt, retries } = await send(connector, source, 'file', { streams: 2, onRetry });
  expect(receipt.size).toBe(content.length);
  // More, where the stream that was left has got on meanwhile: then its way back is barred once again.
  expect(retries).toBeGreaterThanOrEqual(2);
  expect(two.proxy.connections).toBe(0);
});
