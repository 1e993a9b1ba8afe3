import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { exitCodeOf, EXIT } from '../../src/cli/exit-codes.ts';
import type { Connector } from '../../src/client/connector.ts';
import { systemClock } from '../../src/clock.ts';
import { chaosFaults, ChaosTally, type ChaosSettings } from '../../src/diagnostics/chaos.ts';
import { isSealiftError } from '../../src/errors.ts';
import { AT_ONCE, fetchTo, MIB, NEVER, noise, send, startSetting } from '../client/setting.ts';

/** Settings that bear the names of the faults. */
const SAME = {
  bytesPerSecond: 1,
  resetEveryMs: 2,
  stallAfterBytes: 3,
  corruptAtByte: 4,
  splitBytes: 5,
  blackhole: true,
};

test.each<[string, ChaosSettings, unknown]>([
  ['nothing', {}, {}],
  ['latency', { latencyMs: 100 }, { latencyMs: 100, jitterMs: 0 }],
  ['jitter lies on both sides', { latencyMs: 100, jitterMs: 20 }, { latencyMs: 80, jitterMs: 40 }],
  ['nothing arrives before it was sent', { latencyMs: 10, jitterMs: 30 }, { latencyMs: 0, jitterMs: 40 }],
  ['what is dropped is closed', { dropAfterBytes: 5 }, { cut: { afterBytes: 5, mode: 'fin' } }],
  ['the rest is called the same', SAME, SAME],
])('as faults of the proxy: %s', (_, settings, faults) => {
  expect(chaosFaults(settings)).toEqual(faults);
});

test('the tally counts faults, and no connections that come and go', () => {
  const tally = new ChaosTally();
  const event = { connection: 1, bytes: { up: 0, down: 0 } };
  const counted = (['opened', 'cut', 'cut', 'stalled', 'closed'] as const).map((kind) =>
    tally.add({ ...event, kind }),
  );
  expect(counted).toEqual([false, true, true, true, false]);
  expect(tally.faults).toEqual({ cut: 2, stalled: 1 });
});

const CONTENT = noise(4 * MIB);

describe('through each fault the client ends as its pages promise', () => {
  test.each<[string, ChaosSettings, number]>([
    ['latency', { latencyMs: 10, jitterMs: 5 }, EXIT.done],
    ['a rate', { bytesPerSecond: 20 * MIB }, EXIT.done],
    ['small pieces', { splitBytes: 1_000 }, EXIT.done],
    ['drops that let something through', { dropAfterBytes: 1.5 * MIB }, EXIT.done],
    ['drops that let nothing through', { dropAfterBytes: 1_000 }, EXIT.gaveUp],
    ['resets', { resetEveryMs: 300, bytesPerSecond: 10 * MIB }, EXIT.done],
    ['a bit that is flipped', { corruptAtByte: 1.5 * MIB }, EXIT.done],
    ['silence that lets something through', { stallAfterBytes: 2.5 * MIB }, EXIT.done],
    ['silence that lets nothing through', { stallAfterBytes: 1_000 }, EXIT.gaveUp],
    ['a black hole', { blackhole: true }, EXIT.gaveUp],
  ])('%s', async (_, settings, code) => {
    const { connector, local, remote, root, directory } = await startSetting(chaosFaults(settings));
    const source = await local(CONTENT);
    await remote(CONTENT, 'there');
    const target = join(directory, 'back');
    const retry = code === EXIT.done ? AT_ONCE : { ...NEVER, retries: 1 };
    // Only silence needs a client that is impatient; the machine may be busy.
    const isSilent = settings.stallAfterBytes !== undefined || settings.blackhole === true;
    const timeouts = {
      connectTimeoutMs: 1_000,
      helloTimeoutMs: code === EXIT.done ? 5_000 : 200,
      timeoutMs: 200,
    };
    const patience = { clock: systemClock, ...(isSilent ? timeouts : {}) };

    const put = connector(patience);
    expect(await exitCode(put, send(put, source, 'sent', { retry }))).toBe(code);
    const get = connector(patience);
    expect(await exitCode(get, fetchTo(get, 'there', target, { retry }))).toBe(code);
    if (code !== EXIT.done) return;
    expect((await readFile(join(root, 'sent'))).equals(CONTENT)).toBe(true);
    expect((await readFile(target)).equals(CONTENT)).toBe(true);
  });
});

/** As the command line ends when this is all that it does. */
async function exitCode(connector: Connector, work: Promise<unknown>): Promise<number> {
  try {
    await work;
    return EXIT.done;
  } catch (error) {
    if (!isSealiftError(error)) throw error;
    return exitCodeOf(error, connector.hasConnected);
  }
}
