import { onTestFinished } from 'vitest';

import { dial, type DialOptions } from '../../src/transport/dial.ts';
import { FakeClock } from './fake-clock.ts';

/** Dials as a client that believes anyone, unless told otherwise; what was opened is closed at the end of the test. */
export async function dialling(
  options: Partial<DialOptions> & Pick<DialOptions, 'address'>,
): ReturnType<typeof dial> {
  const opened = await dial({ tls: {}, verify: () => undefined, clock: new FakeClock(), ...options });
  onTestFinished(() => opened.connection[Symbol.asyncDispose]());
  return opened;
}
