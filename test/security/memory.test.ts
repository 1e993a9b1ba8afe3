import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { encodeMessage } from '../../src/protocol/encoder.ts';
import { chunksTaken, passSeconds, startAttackedServer } from '../support/attacked-server.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { RawClient } from '../support/raw-client.ts';
import { temporaryDirectory } from '../support/test-server.ts';

const MEBIBYTE = 1_048_576;
const repeated = (fields: Record<string, unknown>, count: number, content?: Buffer) =>
  Buffer.concat(
    Array.from({ length: count }, (_, index) =>
      encodeMessage({ fields: { id: index + 1, ...fields }, ...(content && { content }) }),
    ),
  );

// A Unix socket has small buffers in the kernel, so that the server soon feels that nobody reads.
describe('hazard 28: a reader that never reads', () => {
  test.each([
    ['echoes', repeated({ action: 'echo' }, 1, randomBytes(MEBIBYTE)), 64, 24],
    ['pings', repeated({ action: 'ping' }, 500), 200, 30],
    ['requests to cancel', repeated({ action: 'cancel', target: 1_000_000 }, 500), 200, 30],
    ['refused requests', repeated({ action: 'fly' }, 500), 200, 30],
    ['blocks without id that are refused', repeated({ action: 'block', id: undefined }, 500), 200, 30],
    ['large files', repeated({ action: 'get', path: 'large' }, 500), 200, 30],
    ['listings', repeated({ action: 'list', path: '', recursive: true }, 500), 200, 30],
  ])('is not read from any more: %s', async (_, chunk, times, bound) => {
    const { reader, witness } = await startWithReader();
    expect(await chunksTaken(reader, chunk, { times, witness })).toBeLessThan(bound);
    expect((await witness.ask('ping')).header['status']).toBe('ok');
  });

  test('is cut after a minute in which it took nothing', async () => {
    const clock = new FakeClock();
    const { reader, witness } = await startWithReader(clock);
    await chunksTaken(reader, repeated({ action: 'echo' }, 1, randomBytes(MEBIBYTE)), { times: 64, witness });
    await passSeconds(61, { clock, witness });
    reader.socket.resume();
    await reader.closed;
    expect((await witness.ask('ping')).header['status']).toBe('ok');
  });

  test('before its hello is answered one by one', async () => {
    const { connect, witness } = await startWithReader();
    const stranger = await connect();
    stranger.socket.pause();
    expect(
      await chunksTaken(stranger, repeated({ action: 'ping' }, 500), { times: 200, witness }),
    ).toBeLessThan(30);
  });
});

async function startWithReader(clock?: FakeClock) {
  const socketPath = join(await temporaryDirectory(), 'socket');
  const server = await startAttackedServer({ socketPath, ...(clock && { clock }) });
  for (let index = 0; index < 200; index += 1)
    writeFileSync(join(server.root, `${index}`.padStart(250, 'n')), '');
  writeFileSync(join(server.root, 'large'), Buffer.alloc(8 * MEBIBYTE));
  const reader: RawClient = await server.login();
  reader.socket.pause();
  return { ...server, reader, witness: await server.login() };
}
