import { once } from 'node:events';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';

import { startAttackedServer, type AttackedServerOptions } from '../support/attacked-server.ts';
import { issueAuthority, issueCertificate } from '../support/certificates.ts';
import { RawClient } from '../support/raw-client.ts';

const SEALIFT = ['sealift/1'];

/** A connection made with any TLS options. */
async function secured(address: object, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ ...address, rejectUnauthorized: false, ...options });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

describe('hazard 24: resumed sessions', () => {
  test.each([
    ['TLS 1.3', 'TLSv1.3', {}],
    ['TLS 1.2 with session ids', 'TLSv1.2', { minVersion: 'TLSv1.2' }],
  ] as [string, 'TLSv1.2' | 'TLSv1.3', AttackedServerOptions][])('%s', async (_, maxVersion, server) => {
    const { address, assertAlive } = await startAttackedServer({ anonymous: 'read', ...server });
    const options: ConnectionOptions = { ALPNProtocols: SEALIFT, minVersion: maxVersion, maxVersion };
    const first = await secured(address, options);
    const sessions: Buffer[] = [];
    first.on('session', (session: Buffer) => sessions.push(session));
    // Tickets of TLS 1.3 come after the handshake, before any answer of ours.
    first.write(Buffer.of(0, 0));
    first.resume();
    await once(first, 'close');
    const kept = first.getSession();
    if (kept !== undefined) sessions.push(kept);
    for (const session of sessions) {
      const again = await secured(address, { ...options, session });
      expect(again.isSessionReused()).toBe(false);
      again.destroy();
    }
    await assertAlive();
  });
});

describe('hazard 25: peers that do not offer what is spoken here', () => {
  test('other protocols only: refused by TLS itself', async () => {
    const { address, log } = await startAttackedServer();
    await expect(
      secured(address, { ALPNProtocols: ['h2', 'sealift/2', 'sealift/1 '] }),
    ).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
    });
    expect(log()).toContain('handshake failed');
  });

  test('none: closed unanswered, whatever is said', async () => {
    const { connect: raw, log, server } = await startAttackedServer({ anonymous: 'write' });
    const client = await raw({ alpn: [] });
    client.send({ action: 'hello', id: 1, protocol: 1, agent: 'x' });
    await client.ended();
    expect(client.messages).toEqual([]);
    expect(server.connectionCount).toBe(0);
    expect(log()).toContain('no ALPN');
  });

  test('the right one among others is served', async () => {
    const { connect: raw } = await startAttackedServer({ anonymous: 'read' });
    const client = await raw({ alpn: ['h2', 'sealift/1', 'http/1.1'] });
    expect((await client.hello()).header['status']).toBe('ok');
  });

  test('TLS 1.2 and older: refused unless the operator allows it', async () => {
    const strict = await startAttackedServer();
    for (const maxVersion of ['TLSv1.2', 'TLSv1.1'] as const)
      await expect(
        secured(strict.address, {
          ALPNProtocols: SEALIFT,
          minVersion: 'TLSv1',
          maxVersion,
          ciphers: 'DEFAULT@SECLEVEL=0',
        }),
      ).rejects.toThrow();
    expect(strict.log()).not.toMatch(/\\n\s+at /);
    const lenient = await startAttackedServer({ minVersion: 'TLSv1.2' });
    await secured(lenient.address, { ALPNProtocols: SEALIFT, maxVersion: 'TLSv1.2' });
    await expect(
      secured(lenient.address, {
        ALPNProtocols: SEALIFT,
        minVersion: 'TLSv1.1',
        maxVersion: 'TLSv1.1',
        ciphers: 'DEFAULT@SECLEVEL=0',
      }),
    ).rejects.toThrow();
  });
});

describe('hazard 32: certificates of clients', () => {
  test('names count only if the right authority vouches for them, and a pin only for its key', async () => {
    const [authority, otherAuthority] = [await issueAuthority(), await issueAuthority()];
    const { connect: raw } = await startAttackedServer({
      users: { tester: { names: ['tester'] } },
      clientCa: authority.cert,
    });
    const request = { commonName: 'tester', names: ['tester'] };
    const past = new Date(Date.now() - 1_000);
    const outcomes = [];
    for (const pair of [
      await issueCertificate({ ...request, ca: authority }),
      await issueCertificate(request),
      await issueCertificate({ ...request, ca: otherAuthority }),
      await issueCertificate({ ...request, ca: authority, notAfter: past }),
      await issueCertificate({ commonName: 'tester.evil', names: ['tester.evil', '*'], ca: authority }),
    ]) {
      const { header } = await (await raw(pair)).hello();
      outcomes.push(header['principal'] ?? header['code']);
    }
    expect(outcomes).toEqual(['tester', ...Array<string>(4).fill('unauthenticated')]);
  });

  test('a wrong token is not overlooked because the certificate would do', async () => {
    const authority = await issueAuthority();
    const { address } = await startAttackedServer({
      users: { tester: { names: ['tester'] } },
      clientCa: authority.cert,
    });
    const pair = await issueCertificate({ commonName: 'tester', names: ['tester'], ca: authority });
    const client = await RawClient.connect({ address, ...pair });
    expect((await client.hello({ token: 'wrong' })).header['code']).toBe('unauthenticated');
    expect((await client.ask('list', { path: '' })).header['code']).toBe('unauthenticated');
    await client.destroy();
  });
});
