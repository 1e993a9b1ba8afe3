import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';

import { encodeMessage } from '../../src/protocol/encoder.ts';
import { errorCodes, passSeconds, startAttackedServer } from '../support/attacked-server.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { blockRequest } from '../support/raw-files.ts';

describe('hazard 1: a header that never ends', () => {
  test.each([
    ['one byte and then silence', Buffer.of(0)],
    ['one byte a second', Buffer.concat([Buffer.of(0x20, 0), Buffer.alloc(8_192, ' ')])],
  ])('%s is ended after ten seconds', async (_, bytes) => {
    const { clock, login, witness } = await startWithWitness();
    const slow = await login();
    let sent = 0;
    const each = () => slow.write(bytes.subarray(sent, (sent += 1)));
    await passSeconds(14, { clock, witness, each });
    await slow.ended();
    expect(errorCodes(slow)).toEqual(['timeout']);
    expect((await witness.ask('ping')).header['status']).toBe('ok');
  });

  test('a hello that never comes is ended after ten seconds, whatever else comes before', async () => {
    const { clock, connect: secure, witness } = await startWithWitness();
    const silent = await secure();
    const busy = await secure();
    await passSeconds(14, { clock, witness, each: () => busy.begin('ping') });
    for (const client of [silent, busy]) await client.ended();
    expect(errorCodes(silent)).toEqual(['timeout']);
    expect(errorCodes(busy).at(-1)).toBe('timeout');
    expect(new Set(errorCodes(busy))).toEqual(new Set(['unauthenticated', 'timeout']));
  });

  test('a connection that never begins its handshake is closed', async () => {
    const { address, log } = await startAttackedServer({ handshakeTimeoutMs: 50 });
    const socket = connect(address as { host: string; port: number });
    socket.resume();
    await once(socket, 'close');
    expect(log()).toContain('ERR_TLS_HANDSHAKE_TIMEOUT');
  });
});

describe('hazard 29: a writer of one byte a second', () => {
  test('is ended inside a content, by the rate', async () => {
    const { clock, login, witness } = await startWithWitness();
    const slow = await login();
    const { header } = await slow.askOk('put', { path: 'slow', size: null });
    const content = Buffer.alloc(1_048_576);
    const [action, fields] = blockRequest(header['upload'], 0, content);
    const message = encodeMessage({ fields: { action, id: 9, ...fields }, content });
    let sent = message.length - content.length + 1;
    slow.write(message.subarray(0, sent));
    await passSeconds(125, { clock, witness, each: () => slow.write(message.subarray(sent, (sent += 1))) });
    await slow.ended();
    expect(errorCodes(slow)).toEqual(['timeout']);
  });

  test('an idle connection is ended, one with something in flight is not', async () => {
    const { clock, login, witness } = await startWithWitness();
    const idle = await login();
    await passSeconds(305, { clock, witness });
    await idle.ended();
    expect(errorCodes(idle)).toEqual(['timeout']);
    expect((await witness.ask('ping')).header['status']).toBe('ok');
  });
});

async function startWithWitness() {
  const clock = new FakeClock();
  const server = await startAttackedServer({ clock });
  return { ...server, clock, witness: await server.login() };
}
