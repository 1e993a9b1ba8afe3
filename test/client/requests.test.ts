import { describe, expect, test } from 'vitest';

import type { Client } from '../../src/client/client.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startScriptedServer, HELLO, type Script, type ScriptedRequest } from '../support/scripted-server.ts';
import { connectorTo, failureOf, MIB, noise } from './setting.ts';

async function connected(script: Script) {
  const server = await startScriptedServer(script);
  const client: Client = await connectorTo(server.address, server.pin).use();
  return { server, client };
}

test('answers find their requests, in whatever order they come, part by part', async () => {
  const waiting: ScriptedRequest[] = [];
  const { client } = await connected({
    list: async (request) => {
      if (waiting.push(request) < 3) return;
      const part = (nth: number, name: string, status = 'more') =>
        waiting[nth]?.answer({ status }, { content: Buffer.from(name), contentType: 'text/json' });
      await part(2, 'c1');
      await part(0, 'a1');
      await part(2, 'c2');
      await part(1, 'b', 'ok');
      await part(0, 'a2', 'ok');
      await part(2, 'c3', 'ok');
    },
  });
  const ask = async (path: string) => {
    const parts: string[] = [];
    const last = await client.request(
      'list',
      { path },
      { onPart: ({ content }) => void parts.push(content.toString()) },
    );
    return [...parts, last.content.toString()];
  };
  expect(await Promise.all([ask('a'), ask('b'), ask('c')])).toEqual([
    ['a1', 'a2'],
    ['b'],
    ['c1', 'c2', 'c3'],
  ]);
});

test('answers to unknown ids are passed over', async () => {
  const { client } = await connected({
    ping: async ({ answer }) => {
      for (const id of [999, 0, -1, 'x', null, 1.5]) await answer({ id, status: 'ok', 'time-ms': 1 });
      await answer({ id: undefined, status: 'progress', upload: 'u', held: 1 });
      await answer({ id: 77, status: 'error', code: 'internal', message: 'No.' });
      await answer({ status: 'progress' });
      await answer({ status: 'ok', 'time-ms': 42 });
      await answer({ status: 'ok', 'time-ms': 43 });
    },
  });
  expect(await client.ping()).toBe(42);
  expect(await client.ping()).toBe(42);
});

test('that a content was received is told, and is no answer', async () => {
  const { client } = await connected({
    block: async ({ answer }) => {
      await answer({ status: 'progress', received: true });
      await answer({ status: 'error', code: 'no-space', message: 'It could not be written.' });
    },
  });
  let received = 0;
  const fields = { upload: 'u', index: 0, digest: `sha256:${'0'.repeat(64)}` };
  const onReceived = () => void (received += 1);
  const sending = client.request('block', fields, { content: Buffer.from('x'), onReceived });
  expect((await failureOf(sending)).code).toBe('no-space');
  expect(received).toBe(1);
});

test('no more requests are under way than the server takes, and one place is kept for cancel', async () => {
  const waiting: ScriptedRequest[] = [];
  const full = Promise.withResolvers<void>();
  const { client, server } = await connected({
    hello: ({ answer }) => void answer({ ...HELLO, 'max-requests': 4 }),
    ping: (request) => {
      if (waiting.push(request) === 3) full.resolve();
    },
    echo: ({ answer }) => void answer({ status: 'ok' }),
  });
  const pings = Array.from({ length: 5 }, () => client.ping());
  await full.promise;
  expect(server.requests).toHaveLength(3);
  for (let answered = 0; answered < 5; answered += 1) {
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await waiting.shift()?.answer({ status: 'ok', 'time-ms': 5 });
  }
  expect(await Promise.all(pings)).toEqual([5, 5, 5, 5, 5]);
});

test('an abort cancels the request, and the connection lives on', async () => {
  const { client, server } = await connected({
    echo: () => undefined,
    cancel: ({ answer }) => void answer({ status: 'ok' }),
    ping: ({ answer }) => void answer({ status: 'ok', 'time-ms': 1 }),
  });
  const controller = new AbortController();
  const asking = client.echo(Buffer.from('x'), { signal: controller.signal });
  const asked = await server.requested('echo');
  controller.abort();
  expect((await failureOf(asking)).code).toBe('aborted');
  expect((await server.requested('cancel')).header['target']).toBe(asked.header['id']);
  expect(await client.ping()).toBe(1);
});

test('what is aborted while it waits for its turn is not sent', async () => {
  const { client, server } = await connected({
    hello: ({ answer }) => void answer({ ...HELLO, 'max-requests': 2 }),
    stat: () => undefined,
    cancel: ({ answer }) => void answer({ status: 'ok' }),
    ping: ({ answer }) => void answer({ status: 'ok', 'time-ms': 1 }),
  });
  const [first, second] = [new AbortController(), new AbortController()];
  const asking = failureOf(client.stat('file', { signal: first.signal }));
  const waiting = failureOf(client.echo(Buffer.from('x'), { signal: second.signal }));
  await server.requested('stat');
  second.abort();
  expect((await waiting).code).toBe('aborted');
  first.abort();
  expect((await asking).code).toBe('aborted');
  expect(await client.ping()).toBe(1);
  expect(server.requests.map(({ header }) => header['action'])).toEqual(['stat', 'cancel', 'ping']);
});

test('what is aborted before it is sent is not sent', async () => {
  const { client, server } = await connected({
    ping: ({ answer }) => void answer({ status: 'ok', 'time-ms': 1 }),
  });
  expect((await failureOf(client.echo(Buffer.from('x'), { signal: AbortSignal.abort() }))).code).toBe(
    'aborted',
  );
  await client.ping();
  expect(server.requests.map(({ header }) => header['action'])).toEqual(['ping']);
});

test('a part that the caller cannot take cancels the rest of the answer', async () => {
  const { client, server } = await connected({
    get: ({ answer }) => answer({ status: 'more', size: 5 * MIB, 'mtime-ms': 0, mode: 0o644, etag: 'e' }),
  });
  const asking = client.request(
    'get',
    { path: 'file' },
    { onPart: () => Promise.reject(new RangeError('full')) },
  );
  await expect(asking).rejects.toThrow(RangeError);
  const asked = await server.requested('get');
  expect((await server.requested('cancel')).header['target']).toBe(asked.header['id']);
});

test('a part that is never taken keeps nobody else once its request is aborted, and is left as it is', async () => {
  const block = noise(MIB);
  const { client, server } = await connected({
    get: async ({ answer }) => {
      await answer({ status: 'more' }, { content: block });
      await answer({ status: 'more' }, { content: noise(MIB, 2) });
    },
    echo: ({ answer, content }) => answer({ status: 'ok' }, { content }),
  });
  const controller = new AbortController();
  const parts: Buffer[] = [];
  const asking = client.request(
    'get',
    { path: 'file' },
    {
      signal: controller.signal,
      onPart: ({ content }) => {
        parts.push(content);
        controller.abort();
        return new Promise(() => undefined);
      },
    },
  );
  expect((await failureOf(asking)).code).toBe('aborted');
  await server.requested('cancel');
  const other = noise(MIB, 3);
  expect((await client.echo(other)).equals(other)).toBe(true);
  expect(parts.map((part) => part.equals(block))).toEqual([true]);
});

test('a content is not given back before all of it has left, whatever the server answers', async () => {
  const { client, server } = await connected({
    echo: ({ header, socket, answer }) => {
      // Reads no further, and says that it has what is still to come.
      socket.pause();
      const last = Number(header['id']) + 29;
      void answer({ id: last, status: 'ok' });
      void answer({ id: last - 1, status: 'error', code: 'internal', message: 'No.', retryable: false });
    },
  });
  // More than the buffers of the kernel take.
  const block = noise(MIB);
  let isGivenBack = false;
  const outcomes = Array.from({ length: 30 }, () =>
    client.echo(block).then(
      () => (isGivenBack = true),
      (e: unknown) => e,
    ),
  );
  expect(await outcomes[28]).toMatchObject({ code: 'internal' });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isGivenBack).toBe(false);
  server.destroyConnections();
  expect(await outcomes[29]).toMatchObject({ code: 'connection-lost' });
});

describe('contents that wait to be sent', () => {
  const echo: Script = { echo: ({ answer }) => answer({ status: 'ok' }) };
  const echoes = (client: Client, count: number) =>
    Array.from({ length: count }, () => client.echo(noise(MIB)));

  test('keep nothing waiting that has none, however slow the way', async () => {
    const { client, server } = await connected({ ...echo, lock: ({ answer }) => answer({ status: 'ok' }) });
    const sending = echoes(client, 40);
    await client.lock('job', { ttlMs: 1_000 });
    await Promise.all(sending);
    const actions = server.requests.map(({ header }) => header['action']);
    expect(actions).toHaveLength(41);
    expect(actions.indexOf('lock')).toBeLessThan(5);
  });

  test('are not sent once nobody wants them, and give their room back', async () => {
    const { client, server } = await connected(echo);
    const controller = new AbortController();
    const sending = echoes(client, 4);
    const given = Array.from({ length: 10 }, () =>
      failureOf(client.echo(noise(MIB), { signal: controller.signal })),
    );
    controller.abort();
    for (const failure of given) expect((await failure).code).toBe('aborted');
    await Promise.all([...sending, ...echoes(client, 4)]);
    expect(server.requests.filter(({ header }) => header['action'] === 'echo')).toHaveLength(8);
  });

  test('are lost with the connection', async () => {
    const { client } = await connected({ echo: ({ socket }) => void socket.destroy() });
    for (const failure of echoes(client, 10).map(failureOf))
      expect((await failure).code).toBe('connection-lost');
    expect((await failureOf(client.echo(noise(MIB)))).code).toBe('connection-lost');
  });

  test('are given up when the connection is closed on this side', async () => {
    const { client } = await connected({ echo: () => undefined });
    const failures = echoes(client, 10).map(failureOf);
    await client.close();
    for (const failure of failures) expect((await failure).code).toBe('aborted');
  });
});

test.each([
  { rttMs: 0, expected: 60 },
  { rttMs: 4, expected: 60 },
  { rttMs: 5, expected: 80 },
  { rttMs: 50, expected: 800 },
  { rttMs: 500, expected: 1_022 },
])(
  'over a round trip of $rttMs ms $expected small requests are made at once',
  async ({ rttMs, expected }) => {
    const clock = new FakeClock();
    const server = await startScriptedServer({
      hello: ({ answer }) => {
        clock.advance(rttMs);
        return answer({ ...HELLO, 'max-requests': 1_024 });
      },
      ping: ({ answer }) => answer({ status: 'ok', 'time-ms': 1 }),
    });
    const connector = connectorTo(server.address, server.pin, { clock });
    const client = await connector.use();
    expect(connector.atOnce()).toBe(expected);
    expect(connector.atOnce(4)).toBe(4);
    // That the server was slow to say hello does not make the way long.
    await client.ping();
    expect(connector.atOnce()).toBe(60);
  },
);

test('an error of the server comes as it was sent, without what we do not know', async () => {
  const { client } = await connected({
    stat: ({ answer }) =>
      void answer({ status: 'error', code: 'busy', message: 'Later.', retryable: true, 'retry-after-ms': 5 }),
    ping: ({ answer }) =>
      void answer({ status: 'error', code: 'of-the-future', message: 'What?', retryable: false }),
  });
  expect(await failureOf(client.stat('x'))).toMatchObject({ code: 'busy', retryable: true, retryAfterMs: 5 });
  const unknown = await failureOf(client.ping());
  expect(unknown.retryable).toBe(false);
  expect(unknown.message).toContain('What?');
});

test('an error of the stream ends all requests', async () => {
  const { client } = await connected({
    ping: ({ answer, socket }) => {
      void answer({
        id: undefined,
        status: 'error',
        code: 'bad-frame',
        message: 'What was that?',
        retryable: false,
      });
      socket.end();
    },
  });
  const failures = await Promise.all([failureOf(client.echo(Buffer.from('x'))), failureOf(client.ping())]);
  expect(failures.map(({ code }) => code)).toEqual(['bad-frame', 'bad-frame']);
  expect(client.isAlive).toBe(false);
  expect((await failureOf(client.ping())).code).toBe('bad-frame');
});

test('a server that found us too slow is worth another connection', async () => {
  const { client } = await connected({
    ping: ({ answer, socket }) => {
      void answer({
        id: undefined,
        status: 'error',
        code: 'timeout',
        message: 'Too slow.',
        retryable: false,
      });
      socket.end();
    },
  });
  expect(await failureOf(client.ping())).toMatchObject({ code: 'stalled', retryable: true });
});
