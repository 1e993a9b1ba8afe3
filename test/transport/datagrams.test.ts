import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { buffer as bytesOf } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { exchangeDatagrams } from '../../src/diagnostics/datagram-exchange.ts';
import { MAX_DATAGRAM_BYTES, openDatagramLink, startDatagramEcho } from '../../src/transport/datagrams.ts';
import { failureOf } from '../client/setting.ts';
import { FakeClock } from '../support/fake-clock.ts';

const LOOPBACK = '127.0.0.1';

async function echoPort() {
  const seen: { bytes: number; isAnswered: boolean }[] = [];
  const onDatagram = (_: unknown, bytes: number, isAnswered: boolean) =>
    void seen.push({ bytes, isAnswered });
  const server = await startDatagramEcho({ host: LOOPBACK, port: 0, onDatagram });
  onTestFinished(() => server.close());
  return { port: server.port, seen };
}

async function linkTo(port: number, clock = systemClock) {
  const signal = new AbortController().signal;
  const link = await openDatagramLink({ host: LOOPBACK, port, timeoutMs: 10_000, clock, signal });
  onTestFinished(() => link.close());
  return link;
}

test('what is sent comes back, in datagrams that any network carries', async () => {
  const { port, seen } = await echoPort();
  const content = Buffer.alloc(MAX_DATAGRAM_BYTES + 10, 'x');
  const output = new PassThrough();
  const options = { input: Readable.from([content]), output, onLost: () => undefined };
  const result = await exchangeDatagrams(await linkTo(port), options);
  expect(result).toMatchObject({ sent: 2, returned: 2 });
  expect((await bytesOf(output.end())).equals(content)).toBe(true);
  expect(seen).toEqual([
    { bytes: MAX_DATAGRAM_BYTES, isAnswered: true },
    { bytes: 10, isAnswered: true },
  ]);
});

test('one that is lost is told, and the rest goes on', async () => {
  const clock = new FakeClock();
  const silent = createSocket('udp4').bind(0, LOOPBACK);
  onTestFinished(() => void silent.close());
  await once(silent, 'listening');
  silent.on('message', (bytes, from) => {
    if (String(bytes) === 'b') silent.send(bytes, from.port, from.address);
    else clock.advance(10_000);
  });
  const lost: number[] = [];
  const result = await exchangeDatagrams(await linkTo(silent.address().port, clock), {
    input: Readable.from([Buffer.from('a'), Buffer.from('b')]),
    output: new PassThrough(),
    onLost: (number) => lost.push(number),
  });
  expect(result).toMatchObject({ sent: 2, returned: 1 });
  expect(lost).toEqual([1]);
});

test('a port where nobody listens refuses', async () => {
  const gone = createSocket('udp4').bind(0, LOOPBACK);
  await once(gone, 'listening');
  const { port } = gone.address();
  await new Promise<void>((resolve) => gone.close(() => resolve()));
  const failure = await failureOf((await linkTo(port)).echo(Buffer.from('x')));
  expect(failure.code).toBe('connection-refused');
});

test('two echo servers that a forged sender set on each other do not talk for ever', async () => {
  const { port, seen } = await echoPort();
  // Another address of the loopback, the same port.
  const forger = createSocket('udp4').bind(port, '127.0.0.2');
  onTestFinished(() => void forger.close());
  await once(forger, 'listening');
  forger.send('x', port, LOOPBACK);
  while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual([{ bytes: 1, isAnswered: false }]);
});
