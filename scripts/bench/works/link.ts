import { systemClock } from '../../../src/clock.ts';
import { systemRandom } from '../../../src/random.ts';
import { startFaultProxy } from '../../../src/transport/fault-proxy.ts';
import type { Faults } from '../../../src/transport/fault-settings.ts';
import type { Setting } from '../work.ts';

/** A link to `port` that does this to each connection, each way; resolves with the port to connect to. */
export async function startLink(setting: Setting, port: number, faults: Faults): Promise<number> {
  const proxy = await startFaultProxy({
    target: { host: '127.0.0.1', port },
    faults,
    clock: systemClock,
    random: systemRandom,
  });
  setting.onEnd(() => proxy.close());
  return proxy.port;
}
