import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';

import { errorCodes, startAttackedServer } from '../support/attacked-server.ts';

/** The first bytes of a handshake that promises extensions which never come, of one too long, and of SSL 2. */
const HELLOS = [
  '160301000501000001ff03',
  '16030100050100ffffff',
  '1603014000',
  '802e0103010015000000100100800700c0',
];

const STRANGERS: [string, Buffer][] = [
  ['a request of HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: here\r\n\r\n')],
  ['a banner of SSH', Buffer.from('SSH-2.0-OpenSSH_9.9\r\n')],
  ['HTTP/2 without TLS', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
  ['a PROXY header', Buffer.from('PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n')],
  ['zeros', Buffer.alloc(1000)],
  ['random bytes', randomBytes(1000)],
  ['nothing', Buffer.alloc(0)],
  ...HELLOS.map((hex, index): [string, Buffer] => [`damaged hello ${index}`, Buffer.from(hex, 'hex')]),
];

describe('hazard 8: other protocols on the port', () => {
  test.each(STRANGERS)('%s is closed without a word of ours', async (_, bytes) => {
    const { address, assertAlive, log } = await startAttackedServer();
    const { host, port } = address as { host: string; port: number };
    const socket = connect({ host, port });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.end(bytes);
    await closed;
    const answer = Buffer.concat(chunks);
    // At most an alert of TLS: its type and seven bytes in all.
    if (answer.length > 0) expect([answer[0], answer.length]).toEqual([21, 7]);
    await assertAlive();
    expect(log()).toContain('handshake failed');
    expect(log()).not.toMatch(/\\n\s+at |node:internal|"level":50/);
  });

  test('HTTP inside TLS is told why and closed', async () => {
    const { connect: secure, assertAlive, log } = await startAttackedServer();
    const client = await secure();
    client.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
    await client.ended();
    expect(errorCodes(client)).toEqual(['header-too-large']);
    await assertAlive();
    expect(log()).not.toMatch(/\\n\s+at /);
  });
});
