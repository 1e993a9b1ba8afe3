import { systemClock } from '../../../src/clock.ts';
import { systemRandom } from '../../../src/random.ts';
import { startFaultProxy } from '../../../src/transport/fault-proxy.ts';
import type { Setting } from '../work.ts';

/** A link to `port` that gives each connection so much each way; resolves with the port to connect to. */
export async function startLink(setting: Setting, port: number, bytesPerSecond: number): Promise<number> {
  const proxy = await startFaultProxy({
    target: { host: '127.0.0.1', port },
    faults: { bytesPerSecond },
    clock: systemClock,
    random: systemRandom,
  });
  setting.onEnd(() => proxy.close());
  return proxy.port;
}
