// The process of a client: does what the soak asks for, and answers with how it is.
import { seededRandom } from '../../src/random.ts';
import type { Address } from '../../src/transport/address.ts';
import { Load, type LoadReport } from './load.ts';

export interface LoadOptions {
  address: Address;
  pin: string;
  /** For what is sent and fetched. */
  directory: string;
  seed: number;
}

export interface LoadRequest {
  id: number;
  /** Begin to work, end what was begun, take everything away, or only tell. */
  ask: 'work' | 'rest' | 'clear' | 'report';
}

export interface LoadAnswer extends LoadReport {
  id: number;
  /** Timers that are set in this process. */
  timers: number;
}

const { address, pin, directory, seed } = JSON.parse(process.argv[2] ?? '') as LoadOptions;
const load = new Load({ address, pins: [pin], timeoutMs: 10_000 }, directory, seededRandom(seed));

process.on('message', (request: LoadRequest) => void answer(request));

async function answer({ id, ask }: LoadRequest): Promise<void> {
  if (ask === 'work') load.work();
  if (ask === 'rest') await load.rest();
  if (ask === 'clear') await load.clear();
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  process.send?.({ ...load.report, id, timers } satisfies LoadAnswer);
}
