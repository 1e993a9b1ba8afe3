import { describe, expect, test } from 'vitest';

import { startAttackedServer, type AttackedServer } from '../support/attacked-server.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { tokenOf } from '../support/test-server.ts';

const MINUTE_MS = 60_000;

async function hello({ connect }: AttackedServer, fields: Record<string, unknown>) {
  const client = await connect();
  const { header } = await client.hello(fields);
  await client.destroy();
  return header;
}

describe('hazard 33: guessing', () => {
  test.each(['token', 'join'])(
    'a %s: each failure after the fifth doubles the wait, for a right one too',
    async (field) => {
      const clock = new FakeClock();
      const server = await startAttackedServer({ clock, ...(field === 'join' ? { users: undefined } : {}) });
      const right =
        field === 'join' ? { join: await server.server.issueJoinCode() } : { token: tokenOf('tester') };
      for (let attempt = 0; attempt < 5; attempt += 1)
        expect((await hello(server, { [field]: `wrong${attempt}` }))['code']).toBe('unauthenticated');
      for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
        expect(await hello(server, right)).toMatchObject({ code: 'rate-limited', 'retry-after-ms': waitMs });
        clock.advance(waitMs - 1);
        expect(await hello(server, { [field]: 'wrong' })).toMatchObject({
          code: 'rate-limited',
          'retry-after-ms': 1,
        });
        clock.advance(1);
        expect((await hello(server, { [field]: 'wrong' }))['code']).toBe('unauthenticated');
      }
      clock.advance(30_000);
      expect((await hello(server, right))['status']).toBe('ok');
    },
  );

  test('does not keep out who was let in from there before, nor who has nothing to guess', async () => {
    const server = await startAttackedServer({ clock: new FakeClock(), anonymous: 'read' });
    expect((await hello(server, { token: tokenOf('tester') }))['status']).toBe('ok');
    for (let attempt = 0; attempt < 20; attempt += 1) await hello(server, { token: `wrong${attempt}` });
    expect((await hello(server, { token: 'wrong' }))['code']).toBe('rate-limited');
    expect((await hello(server, { token: tokenOf('tester') }))['status']).toBe('ok');
    expect((await hello(server, {}))['status']).toBe('ok');
    expect((await hello(server, { token: 'wrong' }))['code']).toBe('rate-limited');
  });

  test('many connections at once, or many hellos on one, are not more guesses', async () => {
    const server = await startAttackedServer({ clock: new FakeClock() });
    const clients = await Promise.all(Array.from({ length: 20 }, () => server.connect()));
    const answers = await Promise.all(
      clients.flatMap((client) => [client.hello({ token: 'wrong' }), client.hello({ token: 'wronger' })]),
    );
    const codes = answers.map(({ header }) => header['code']);
    expect(codes.filter((code) => code === 'unauthenticated')).toHaveLength(5);
    expect(codes.filter((code) => code === 'rate-limited')).toHaveLength(35);
  });
});

describe('hazard 34: join codes', () => {
  test('work once, even when two come at the same moment', async () => {
    const server = await startAttackedServer({ users: undefined });
    const join = await server.server.issueJoinCode();
    const clients = [await server.connect(), await server.connect()];
    const answers = await Promise.all(clients.map((client) => client.hello({ join })));
    expect(answers.map(({ header }) => header['status']).sort()).toEqual(['error', 'ok']);
    const token = answers.find(({ header }) => header['status'] === 'ok')?.header['token'];
    expect((await hello(server, { join }))['code']).toBe('unauthenticated');
    expect((await hello(server, { token }))['status']).toBe('ok');
    expect(await hello(server, { token })).not.toHaveProperty('token');
  });

  test('die after a quarter of an hour', async () => {
    const clock = new FakeClock();
    const server = await startAttackedServer({ clock, users: undefined });
    const join = await server.server.issueJoinCode();
    clock.advance(15 * MINUTE_MS);
    expect((await hello(server, { join }))['code']).toBe('unauthenticated');
  });
});
