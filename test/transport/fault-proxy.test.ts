import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock, type Clock } from '../../src/clock.ts';
import { seededRandom, systemRandom, type Random } from '../../src/random.ts';
import { startFaultProxy, type FaultProxy } from '../../src/transport/fault-proxy.ts';
import type { FaultEvent } from '../../src/transport/fault-event.ts';
import type { Faults } from '../../src/transport/fault-settings.ts';
import { FakeClock } from '../support/fake-clock.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

/** One end of a connection, with all that it was told and how it ended. */
class End {
  readonly socket: Socket;
  readonly chunks: Buffer[] = [];
  /** Resolves to how the connection was closed on this side. */
  readonly outcome: Promise<'fin' | 'rst'>;
  hasEnded = false;
  length = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    let isReset = false;
    socket.on('data', (chunk) => {
      this.chunks.push(chunk);
      this.length += chunk.length;
    });
    socket.on('error', () => (isReset = true));
    socket.on('end', () => (this.hasEnded = true));
    this.outcome = new Promise((resolve) => socket.on('close', () => resolve(isReset ? 'rst' : 'fin')));
    cleanUp.push(() => socket.destroy());
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** Resolves to what arrived as soon as it is at least `length` bytes. */
  async received(length: number): Promise<Buffer> {
    while (this.length < length) await once(this.socket, 'data');
    return this.bytes;
  }
}

interface Setting {
  clock?: Clock;
  random?: Random;
  /** What the target answers at once to whoever connects. */
  greeting?: Buffer;
  allowHalfOpen?: boolean;
  onEvent?: (event: FaultEvent) => void;
}

/** A target that collects, and a proxy in front of it. */
async function proxyWith(
  faults: Faults,
  { clock = systemClock, random = systemRandom, ...setting }: Setting = {},
) {
  const accepted: End[] = [];
  const server = createServer({ allowHalfOpen: setting.allowHalfOpen ?? false }, (socket) => {
    accepted.push(new End(socket));
    if (setting.greeting) socket.write(setting.greeting);
    server.emit('accepted');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(() => server.close());
  const target = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  const proxy = await startFaultProxy({
    target,
    faults,
    clock,
    random,
    onEvent: (event) => setting.onEvent?.(event),
  });
  cleanUp.push(() => proxy.close());

  const dial = async () => {
    const client = new End(
      connect({ host: proxy.host, port: proxy.port, allowHalfOpen: setting.allowHalfOpen ?? false }),
    );
    // A reset may be faster than the news of the connection.
    await Promise.race([
      new Promise<void>((resolve) => client.socket.once('connect', resolve)),
      client.outcome,
    ]);
    return client;
  };
  const open = async (): Promise<[client: End, target: End]> => {
    const nth = accepted.length;
    const client = await dial();
    while (accepted.length <= nth) await once(server, 'accepted');
    return [client, accepted[nth] as End];
  };
  return { proxy, server, accepted, dial, open };
}

/** Bytes that differ from place to place. */
function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i += 1) bytes[i] = i * 31 + (i >> 8);
  return bytes;
}

/** Lets time pass, timer by timer, until `isDone` says so. */
async function passUntil(clock: FakeClock, isDone: () => boolean): Promise<void> {
  while (!isDone()) {
    clock.advance(clock.nextDelayMs ?? 0);
    // Lets what the timers released go out.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Lets everything happen that can happen without time passing. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('without faults', () => {
  test('carries everything both ways, and counts it', async () => {
    const { proxy, open } = await proxyWith({});
    const [client, target] = await open();
    const up = pattern(3_000_000);
    const down = pattern(1_000_001);
    client.socket.write(up);
    target.socket.write(down);
    expect((await target.received(up.length)).equals(up)).toBe(true);
    expect((await client.received(down.length)).equals(down)).toBe(true);
    expect([proxy.bytesUp, proxy.bytesDown, proxy.connections, proxy.openConnections]).toEqual([
      up.length,
      down.length,
      1,
      1,
    ]);
  });

  test('carries the end of each direction by itself', async () => {
    const { proxy, open } = await proxyWith({}, { allowHalfOpen: true });
    const [client, target] = await open();
    client.socket.end('question');
    await once(target.socket, 'end');
    expect(target.bytes.toString()).toBe('question');
    target.socket.end('answer');
    expect(await client.outcome).toBe('fin');
    expect(client.bytes.toString()).toBe('answer');
    expect(await target.outcome).toBe('fin');
    while (proxy.openConnections > 0) await settle();
  });

  test.for(['client', 'target'] as const)('carries a reset by the %s', async (who) => {
    const { proxy, open } = await proxyWith({});
    const [client, target] = await open();
    const [resetting, other] = who === 'client' ? [client, target] : [target, client];
    resetting.socket.resetAndDestroy();
    expect(await other.outcome).toBe('rst');
    while (proxy.openConnections > 0) await settle();
  });

  test('resets the client when nothing listens at the target', async () => {
    const { proxy, server, dial } = await proxyWith({});
    server.close();
    await once(server, 'close');
    const client = await dial();
    expect(await client.outcome).toBe('rst');
    expect(proxy.connections).toBe(1);
  });

  test('reads no more than it can pass on', async () => {
    const { proxy, open } = await proxyWith({ stallAfterBytes: { up: 1_000 } });
    const [client, target] = await open();
    // Far more than the buffers of the sockets hold.
    const all = pattern(64 * 1_048_576);
    const sent = new Promise<void>((resolve) => client.socket.write(all, () => resolve()));
    await target.received(1_000);
    await settle();
    expect(client.socket.writableLength).toBeGreaterThan(0);
    expect(client.socket.bytesWritten - client.socket.writableLength).toBeLessThan(all.length / 2);
    expect(proxy.bytesUp).toBe(1_000);
    proxy.faults = {};
    await sent;
    expect((await target.received(all.length)).equals(all)).toBe(true);
  });
});

describe('latency', () => {
  test('holds back each direction for its own time, the end included', async () => {
    const clock = new FakeClock();
    const { proxy, open } = await proxyWith({ latencyMs: { up: 100, down: 40 } }, { clock });
    const [client, target] = await open();
    client.socket.write('question');
    await clock.whenScheduled();
    expect(clock.nextDelayMs).toBe(100);
    clock.advance(99);
    await settle();
    expect(proxy.bytesUp).toBe(0);
    clock.advance(1);
    expect((await target.received(8)).toString()).toBe('question');

    target.socket.end('answer');
    await clock.whenScheduled();
    expect(clock.nextDelayMs).toBe(40);
    await passUntil(clock, () => client.hasEnded);
    expect(client.bytes.toString()).toBe('answer');
  });

  test('adds up for what is sent one after the other, but not for what is sent together', async () => {
    const clock = new FakeClock();
    const { open } = await proxyWith({ latencyMs: 100 }, { clock });
    const [client, target] = await open();
    const all = pattern(1_000_000);
    await new Promise<void>((resolve) => client.socket.write(all, () => resolve()));
    await settle();
    await passUntil(clock, () => target.length === all.length);
    expect(target.bytes.equals(all)).toBe(true);
    expect(clock.monotonicMs()).toBeLessThan(200);
  });

  test('with jitter keeps the order, and repeats itself with the same random numbers', async () => {
    const run = async () => {
      const clock = new FakeClock();
      const { open } = await proxyWith({ latencyMs: 10, jitterMs: 50 }, { clock, random: seededRandom(7) });
      const [client, target] = await open();
      const delays: number[] = [];
      for (const letter of ['a', 'b', 'c', 'd', 'e']) {
        const startMs = clock.monotonicMs();
        client.socket.write(letter);
        await clock.whenScheduled();
        clock.advance(clock.nextDelayMs ?? 0);
        await target.received(delays.length + 1);
        delays.push(clock.monotonicMs() - startMs);
      }
      expect(target.bytes.toString()).toBe('abcde');
      return delays;
    };
    const delays = await run();
    for (const delay of delays) expect(delay).toBeGreaterThanOrEqual(10);
    for (const delay of delays) expect(delay).toBeLessThan(60);
    expect(new Set(delays).size).toBe(5);
    expect(await run()).toEqual(delays);
  });

  test('with jitter delays a connection by the same, whatever others carry', async () => {
    const run = async (letters: string) => {
      const clock = new FakeClock();
      const { open } = await proxyWith({ jitterMs: 50 }, { clock, random: seededRandom(7) });
      const [first, firstTarget] = await open();
      for (const [index, letter] of [...letters].entries()) {
        first.socket.write(letter);
        await clock.whenScheduled();
        clock.advance(clock.nextDelayMs ?? 0);
        await firstTarget.received(index + 1);
      }
      const [second] = await open();
      second.socket.write('x');
      await clock.whenScheduled();
      return clock.nextDelayMs;
    };
    // Time that has passed leaves a rounding error.
    expect(await run('abc')).toBeCloseTo((await run('')) ?? 0, 6);
  });
});

describe('a rate', () => {
  test.for([1, 1_000, 1_000_000])('of %d bytes per second is kept', async (bytesPerSecond) => {
    const clock = new FakeClock();
    const { open } = await proxyWith({ bytesPerSecond: { up: bytesPerSecond } }, { clock });
    const [client, target] = await open();
    const all = pattern(Math.min(bytesPerSecond * 2, 300_000) + 5);
    client.socket.write(all);
    await passUntil(clock, () => target.length === all.length);
    expect(target.bytes.equals(all)).toBe(true);
    const idealMs = (all.length / bytesPerSecond) * 1000;
    // The first slice goes at once, and one slice of credit may stand.
    const slack = Math.max(40, 2_000 / bytesPerSecond);
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(idealMs - slack);
    expect(clock.monotonicMs()).toBeLessThanOrEqual(idealMs + slack);
  });

  test('holds for each connection by itself, and not for the other direction', async () => {
    const clock = new FakeClock();
    const { open } = await proxyWith({ bytesPerSecond: { up: 1_000 } }, { clock });
    const ends = [await open(), await open()] as const;
    for (const [client] of ends) client.socket.write(pattern(1_000));
    await passUntil(clock, () => ends.every(([, target]) => target.length === 1_000));
    expect(clock.monotonicMs()).toBeLessThanOrEqual(1_000);
    const before = clock.monotonicMs();
    ends[0][1].socket.write(pattern(100_000));
    await ends[0][0].received(100_000);
    expect(clock.monotonicMs()).toBe(before);
  });
});

describe('a cut', () => {
  test.for([
    ['fin', 'up'],
    ['fin', 'down'],
    ['rst', 'up'],
    ['rst', 'down'],
  ] as const)('by %s comes after exactly the bytes told of direction %s', async ([mode, direction]) => {
    const { proxy, open } = await proxyWith({ cut: { afterBytes: 100_001, mode, direction } });
    const [client, target] = await open();
    const [sender, receiver] = direction === 'up' ? [client, target] : [target, client];
    // The other direction does not count.
    receiver.socket.write(pattern(200_000));
    await sender.received(200_000);
    const all = pattern(300_000);
    sender.socket.write(all);
    if (mode === 'fin') {
      await once(receiver.socket, 'end');
      sender.socket.destroy();
      expect(await receiver.outcome).toBe('fin');
    } else {
      // Asked of the sender: Node 22 takes a reset that comes together with data for a clean end.
      expect(await sender.outcome).toBe('rst');
      await receiver.outcome;
    }
    expect(receiver.bytes.equals(all.subarray(0, 100_001))).toBe(true);
    expect(proxy[direction === 'up' ? 'bytesUp' : 'bytesDown']).toBe(100_001);
    while (proxy.openConnections > 0) await settle();
  });

  test('counts both directions together unless told otherwise, and resets', async () => {
    const { proxy, open } = await proxyWith({ cut: { afterBytes: 30 } });
    const [client, target] = await open();
    client.socket.write(pattern(20));
    await target.received(20);
    target.socket.write(pattern(20));
    expect(await target.outcome).toBe('rst');
    await client.outcome;
    expect(client.bytes).toHaveLength(10);
    expect([proxy.bytesUp, proxy.bytesDown]).toEqual([20, 10]);
  });

  test('into silence carries nothing more and closes nothing', async () => {
    const { proxy, open } = await proxyWith({ cut: { afterBytes: 10, mode: 'silence', direction: 'up' } });
    const [client, target] = await open();
    client.socket.write(pattern(30));
    await target.received(10);
    target.socket.write('unheard');
    target.socket.end();
    await settle();
    expect([target.bytes.length, client.bytes.length, client.hasEnded]).toEqual([10, 0, false]);
    // What is silent stays so, whatever is set now; and one side never learns of the other's end.
    proxy.faults = {};
    target.socket.resetAndDestroy();
    await settle();
    expect([client.bytes.length, client.hasEnded, client.socket.closed]).toEqual([0, false, false]);
    expect(proxy.openConnections).toBe(1);
    proxy.cutAll();
    expect(await client.outcome).toBe('rst');
  });

  test.for(['connection', 'proxy'] as const)(
    'after 0 bytes, counting by %s, lets nothing through',
    async (counting) => {
      const { proxy, dial } = await proxyWith(
        { cut: { afterBytes: 0, counting } },
        { greeting: Buffer.from('hello') },
      );
      for (let i = 0; i < 3; i += 1) {
        const client = await dial();
        expect(await client.outcome).toBe('rst');
        expect(client.bytes).toHaveLength(0);
      }
      expect([proxy.connections, proxy.bytesDown]).toEqual([3, 0]);
    },
  );

  test('by connection comes to each one again, as often as told', async () => {
    const { open } = await proxyWith({ cut: { afterBytes: 10, direction: 'up', times: 2 } });
    for (let i = 0; i < 2; i += 1) {
      const [client, target] = await open();
      client.socket.write(pattern(20));
      await target.outcome;
      expect(target.bytes).toHaveLength(10);
    }
    const [client, target] = await open();
    client.socket.write(pattern(1_000));
    await target.received(1_000);
  });

  test('by proxy adds connections up, cuts them all, and counts anew', async () => {
    const { proxy, open } = await proxyWith({ cut: { afterBytes: 100, direction: 'up', counting: 'proxy' } });
    for (let round = 1; round <= 2; round += 1) {
      const first = await open();
      const second = await open();
      first[0].socket.write(pattern(70));
      await first[1].received(70);
      second[0].socket.write(pattern(70));
      expect(await Promise.all([first[0].outcome, first[1].outcome, second[0].outcome])).toEqual(
        Array(3).fill('rst'),
      );
      await second[1].outcome;
      expect(second[1].bytes).toHaveLength(30);
      expect(proxy.bytesUp).toBe(100 * round);
    }
  });

  test('every so many bytes: a client that comes back gets everything across', async () => {
    const { proxy, dial, accepted } = await proxyWith({ cut: { afterBytes: 40_000, direction: 'up' } });
    const all = pattern(150_000);
    let got = Buffer.alloc(0);
    while (got.length < all.length) {
      const client = await dial();
      client.socket.write(all.subarray(got.length));
      if (all.length - got.length > 40_000) await client.outcome;
      while (accepted.length < proxy.connections) await settle();
      const target = accepted.at(-1) as End;
      await target.received(Math.min(40_000, all.length - got.length));
      got = Buffer.concat([got, target.bytes]);
    }
    expect(got.equals(all)).toBe(true);
    expect(proxy.connections).toBe(4);
  });

  test.for(['fin', 'rst'] as const)('of all connections by %s can be had at any time', async (mode) => {
    const { proxy, open } = await proxyWith({});
    const ends = [await open(), await open()].flat();
    proxy.cutAll(mode);
    expect(await Promise.all(ends.map(({ outcome }) => outcome))).toEqual(Array(4).fill(mode));
    const [client, target] = await open();
    client.socket.write('again');
    expect((await target.received(5)).toString()).toBe('again');
  });
});

describe('other faults', () => {
  test('a stall passes exactly the bytes told, and ends when other faults are set', async () => {
    const { proxy, open } = await proxyWith({ stallAfterBytes: 10 });
    const [client, target] = await open();
    client.socket.write(pattern(30));
    target.socket.write(pattern(5));
    await target.received(10);
    await client.received(5);
    await settle();
    expect(target.bytes).toHaveLength(10);
    proxy.faults = { stallAfterBytes: 20 };
    await target.received(20);
    await settle();
    expect(target.bytes).toHaveLength(20);
    proxy.faults = {};
    expect((await target.received(30)).equals(pattern(30))).toBe(true);
  });

  test.for([0, 1, 69_999, 99_999])('damage flips one bit of byte %d', async (corruptAtByte) => {
    const { open } = await proxyWith({ corruptAtByte: { up: corruptAtByte } });
    const [client, target] = await open();
    const all = pattern(100_000);
    client.socket.write(all);
    target.socket.write(all);
    const expected = Buffer.from(all);
    expected[corruptAtByte] = (all[corruptAtByte] as number) ^ 1;
    expect((await target.received(all.length)).equals(expected)).toBe(true);
    expect((await client.received(all.length)).equals(all)).toBe(true);
  });

  test('single bytes arrive one by one', async () => {
    const { open } = await proxyWith({ splitBytes: { up: 1 } });
    const [client, target] = await open();
    const all = pattern(2_000);
    client.socket.write(all);
    expect((await target.received(all.length)).equals(all)).toBe(true);
    // A busy machine may read two at once now and then.
    expect(target.chunks.length).toBeGreaterThan(1_000);
  });

  test('pieces are no larger than told', async () => {
    const { proxy, open } = await proxyWith({ splitBytes: 700, cut: { afterBytes: 5_000, direction: 'up' } });
    const [client, target] = await open();
    client.socket.write(pattern(10_000));
    await target.outcome;
    expect(target.bytes.equals(pattern(10_000).subarray(0, 5_000))).toBe(true);
    expect(proxy.bytesUp).toBe(5_000);
  });

  test('a refused connection ends at once, and the target hears nothing', async () => {
    const { proxy, dial, open, accepted } = await proxyWith({ refuse: true });
    const client = await dial();
    expect(await client.outcome).toBe('fin');
    expect([accepted.length, proxy.connections]).toEqual([0, 1]);
    proxy.faults = {};
    await open();
  });

  test('in a black hole a connection stands, and nothing happens', async () => {
    const { proxy, dial, accepted } = await proxyWith(
      { blackhole: true },
      { greeting: Buffer.from('hello') },
    );
    const client = await dial();
    client.socket.write(pattern(1_000));
    await settle();
    expect([accepted.length, client.bytes.length, client.hasEnded, proxy.bytesUp]).toEqual([0, 0, false, 0]);
    await proxy.close();
    await client.outcome;
  });

  test('all at once still carry every byte', async () => {
    const clock = new FakeClock();
    const faults: Faults = { latencyMs: 5, jitterMs: 20, bytesPerSecond: 50_000, splitBytes: 333 };
    const { open } = await proxyWith(faults, { clock, random: seededRandom(1) });
    const [client, target] = await open();
    const all = pattern(60_000);
    client.socket.end(all);
    await passUntil(clock, () => target.hasEnded);
    expect(target.bytes.equals(all)).toBe(true);
    await passUntil(clock, () => client.hasEnded);
    expect(clock.pendingCount).toBe(0);
  });

  test.for<Faults>([
    { splitBytes: 0 },
    { bytesPerSecond: 0 },
    { bytesPerSecond: { down: 0.5 } },
    { latencyMs: -1 },
    { jitterMs: Number.NaN },
    { stallAfterBytes: { up: -1 } },
    { corruptAtByte: 1.5 },
    { cut: { afterBytes: -1 } },
    { cut: { afterBytes: 1, times: 0.5 } },
  ])('%j make no sense', async (faults) => {
    await expect(proxyWith(faults)).rejects.toMatchObject({ code: 'invalid-argument' });
    const { proxy } = await proxyWith({ latencyMs: 0 });
    expect(() => (proxy.faults = faults)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
    expect(proxy.faults).toEqual({ latencyMs: 0 });
  });
});

describe('closing', () => {
  test('ends every connection, takes back every timer, and may be repeated', async () => {
    const clock = new FakeClock();
    const { proxy, open, dial } = await proxyWith({ latencyMs: 1_000 }, { clock });
    const [client, target] = await open();
    client.socket.write('late');
    target.socket.write('late');
    await clock.whenScheduled(2);
    const closing = [proxy.close(), proxy.close()];
    await Promise.all(closing);
    await proxy.close();
    await Promise.all([client.outcome, target.outcome]);
    expect(clock.pendingCount).toBe(0);
    expect([client.bytes.length, target.bytes.length, proxy.openConnections]).toEqual([0, 0, 0]);
    const late = await dial();
    expect([await late.outcome, late.socket.bytesWritten]).toEqual(['rst', 0]);
  });

  test.for<Faults>([
    { stallAfterBytes: 0 },
    { bytesPerSecond: 1 },
    { blackhole: true },
    { cut: { afterBytes: 1, mode: 'silence' } },
  ])('works under %j', async (faults) => {
    const clock = new FakeClock();
    const { proxy, dial } = await proxyWith(faults, { clock });
    const client = await dial();
    client.socket.write(pattern(100_000));
    await settle();
    await proxy.close();
    await client.outcome;
    expect(clock.pendingCount).toBe(0);
  });

  test('happens at the end of a block that uses it', async () => {
    let kept: FaultProxy;
    {
      await using proxy = await startFaultProxy({
        target: { host: '127.0.0.1', port: 1 },
        clock: systemClock,
        random: systemRandom,
      });
      kept = proxy;
    }
    const socket = connect({ host: kept.host, port: kept.port });
    await expect(once(socket, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('leaves no listener on a socket, however often it waits', async () => {
    const { open } = await proxyWith({ splitBytes: 10 });
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on('warning', note);
    const [client, target] = await open();
    client.socket.write(pattern(5_000));
    await target.received(5_000);
    await settle();
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });
});

test('a place to listen that is taken is told', async () => {
  const { proxy } = await proxyWith({});
  const taken = { host: proxy.host, port: proxy.port };
  const starting = startFaultProxy({
    listen: taken,
    target: taken,
    clock: systemClock,
    random: systemRandom,
  });
  await expect(starting).rejects.toMatchObject({
    code: 'bad-configuration',
    message: expect.stringContaining('EADDRINUSE'),
  });
});

describe('tells what becomes of each connection', () => {
  test('a reset every so often ends all that are open, again and again', async () => {
    const clock = new FakeClock();
    const { proxy, open } = await proxyWith({ resetEveryMs: 1_000 }, { clock });
    for (const _ of [1, 2]) {
      const [client, target] = await open();
      clock.advance(999);
      await settle();
      expect(proxy.openConnections).toBe(1);
      clock.advance(1);
      expect(await client.outcome).toBe('rst');
      expect(await target.outcome).toBe('rst');
    }
    await proxy.close();
    expect(clock.pendingCount).toBe(0);
  });

  test.each<[string, Faults, string[]]>([
    ['no fault', {}, ['opened', 'closed']],
    ['a cut', { cut: { afterBytes: 2 } }, ['opened', 'cut rst', 'closed']],
    ['a flipped bit', { corruptAtByte: { up: 1 } }, ['opened', 'corrupted up', 'closed']],
    ['silence', { stallAfterBytes: { up: 2 } }, ['opened', 'stalled up', 'closed']],
    ['a refusal', { refuse: true }, ['refused']],
    ['a black hole', { blackhole: true }, ['unanswered']],
  ])('%s', async (_, faults, told) => {
    const events: FaultEvent[] = [];
    const { dial, proxy } = await proxyWith(faults, { onEvent: (event) => events.push(event) });
    const client = await dial();
    client.socket.write('abcd');
    while (events.length < Math.max(1, told.length - 1)) await settle();
    client.socket.destroy();
    // Once it is closed there is nothing more to tell.
    await proxy.close();
    expect(events.map(({ kind, mode, direction }) => [kind, mode ?? direction].join(' ').trim())).toEqual(
      told,
    );
    expect(events.every(({ connection }) => connection === 1)).toBe(true);
  });

  test('a target that cannot be reached is no fault of the proxy', async () => {
    const events: FaultEvent[] = [];
    const { dial, server } = await proxyWith({}, { onEvent: (event) => events.push(event) });
    server.close();
    await once(server, 'close');
    const client = await dial();
    expect(await client.outcome).toBe('rst');
    expect(events.map(({ kind, reason }) => [kind, reason])).toContainEqual(['unreachable', 'ECONNREFUSED']);
  });
});
