import { Duplex, PassThrough, Readable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { expect, test } from 'vitest';

import { exchangeEcho } from '../../src/diagnostics/echo-exchange.ts';
import { SealiftError } from '../../src/errors.ts';
import { failureOf } from '../client/setting.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** An exchange with a server that answers each piece as `answer` does; null ends the connection. */
function exchange(answer: (bytes: Buffer) => Buffer | null | undefined, input: Readable) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const output = new PassThrough();
  const socket = new Duplex({
    read: () => undefined,
    write(bytes: Buffer, _, done) {
      const answered = answer(bytes);
      if (answered !== undefined) this.push(answered);
      done();
    },
  });
  const place = 'box:9000';
  const result = exchangeEcho({ socket, input, output, place, timeoutMs: 5_000, clock, signal: stop.signal });
  return { result, clock, output, socket, stop };
}

test('all that was sent comes back, and then it ends', async () => {
  const { result, output } = exchange((bytes) => bytes, Readable.from([Buffer.from('ab'), Buffer.from('c')]));
  expect(await result).toMatchObject({ bytes: 3 });
  expect(await textOf(output.end())).toBe('abc');
});

test('nothing to send is no failure', async () => {
  expect(await exchange((bytes) => bytes, Readable.from([])).result).toEqual({
    bytes: 0,
    firstMs: undefined,
    elapsedMs: 0,
  });
});

test.each<[string, (bytes: Buffer) => Buffer | null, string, string]>([
  ['something else', () => Buffer.from('abd'), 'digest-mismatch', 'something else'],
  ['more than was sent', () => Buffer.from('abcd'), 'digest-mismatch', 'no echo server'],
  ['the end', () => null, 'connection-lost', 'ended the connection before'],
])('%s comes back', async (_, answer, code, message) => {
  const { result, socket } = exchange(answer, Readable.from([Buffer.from('abc')]));
  expect(await failureOf(result)).toMatchObject({ code, message: expect.stringContaining(message) });
  expect(socket.destroyed).toBe(true);
});

test('a refusal in TLS that comes late is told as one', async () => {
  const { result, socket } = exchange(() => undefined, Readable.from([Buffer.from('abc')]));
  const alert = Object.assign(new Error('alert'), { code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' });
  socket.destroy(alert);
  expect(await failureOf(result)).toMatchObject({ code: 'tls-refused' });
});

test('silence is a failure only while something is to come back', async () => {
  const input = new PassThrough();
  const { result, clock, output, socket } = exchange(() => undefined, input);
  clock.advance(60_000);
  const said = new Promise((resolve) => output.once('data', resolve));
  input.write('a');
  await clock.whenScheduled();
  socket.push('a');
  await said;
  clock.advance(60_000);
  input.write('b');
  await clock.whenScheduled();
  clock.advance(5_000);
  expect(await failureOf(result)).toMatchObject({
    code: 'stalled',
    message: expect.stringContaining('1 bytes'),
  });
  expect(input.destroyed).toBe(true);
});

test('who is slow to read what came back is waited for, and not the server', async () => {
  const input = new PassThrough();
  const { result, clock, output, socket } = exchange(() => undefined, input);
  const large = Buffer.alloc(output.writableHighWaterMark + output.readableHighWaterMark + 1, 'x');
  input.end(Buffer.concat([large, Buffer.from('y')]));
  await clock.whenScheduled();
  socket.push(large);
  while (!output.writableNeedDrain) await new Promise((resolve) => setImmediate(resolve));
  expect(socket.isPaused()).toBe(true);
  clock.advance(60_000);
  output.resume();
  socket.push('y');
  expect(await result).toMatchObject({ bytes: large.length + 1 });
});

test('a signal ends it', async () => {
  const { result, stop } = exchange((bytes) => bytes, new PassThrough());
  stop.abort(new SealiftError('aborted', 'Enough.'));
  expect(await failureOf(result)).toMatchObject({ code: 'aborted' });
});
