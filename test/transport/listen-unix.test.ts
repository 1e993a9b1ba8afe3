import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';

import { issueAuthority, loopbackCertificate } from '../support/certificates.ts';
import { dialling } from '../support/dialling.ts';
import { failureOf } from '../support/failure.ts';
import { listening } from '../support/listening.ts';
import { temporaryDirectory } from '../support/test-server.ts';

describe('a Unix socket', () => {
  const socketIn = async () => ({ path: join(await temporaryDirectory(), 'server.sock') });

  test('carries messages, from no address', async () => {
    const address = await socketIn();
    const { next, accepted } = await listening({ address });
    const accepting = next();
    const { connection } = await dialling({ address });
    await connection.send({ fields: { n: 1 } });
    expect((await (await accepting).connection.receive())?.header['n']).toBe(1);
    expect(accepted).toEqual(['']);
  });

  test('on which a handshake is under way when the client CA changes: it alone is ended', async () => {
    const address = await socketIn();
    const { listener, next, accepted, until } = await listening({ address, handshakeTimeoutMs: 3_600_000 });
    const accepting = next();
    const { connection } = await dialling({ address });
    const served = await accepting;
    const silent = connect(address);
    onTestFinished(() => void silent.destroy());
    const gone = once(silent.on('error', () => undefined).resume(), 'close');
    await until(() => accepted.length === 2);
    listener.setTls({ ...(await loopbackCertificate()), clientCa: (await issueAuthority()).cert });
    await gone;
    await connection.send({ fields: { n: 1 } });
    expect((await served.connection.receive())?.header['n']).toBe(1);
  });

  test('left by a process that was killed is replaced', async () => {
    const address = await socketIn();
    await leaveSocketBehind(address.path);
    expect(existsSync(address.path)).toBe(true);
    const { next } = await listening({ address });
    const accepting = next();
    await dialling({ address });
    await accepting;
  });

  test('on which somebody answers is not replaced', async () => {
    const address = await socketIn();
    const { next } = await listening({ address });
    expect((await failureOf(listening({ address }))).message).toContain('EADDRINUSE');
    const accepting = next();
    await dialling({ address });
    await accepting;
  });

  test('is never put in the place of a file', async () => {
    const address = await socketIn();
    writeFileSync(address.path, 'precious');
    expect((await failureOf(listening({ address }))).code).toBe('bad-configuration');
    expect(existsSync(address.path)).toBe(true);
  });
});

/** Makes what a killed server leaves: a socket file behind which nobody listens. */
async function leaveSocketBehind(path: string): Promise<void> {
  const child = spawn(process.execPath, [
    '-e',
    `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  await once(child, 'exit');
}
