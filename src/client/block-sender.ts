import { isSealiftError } from '../errors.ts';
import type { RequestFields } from '../protocol/requests.ts';
import type { EncodedContent } from '../transport/compressor.ts';
import type { Client } from './client.ts';

/** How often a block is sent again on one connection when the server says that it is not what its digest says. */
const MAX_RESENDS = 3;

/** Sends one block of an upload; resolves when the server holds it. `onReceived`: as of a request. */
export async function sendBlock(
  client: Client,
  fields: RequestFields<'block'>,
  content: EncodedContent & { signal: AbortSignal | undefined; onReceived?: () => void },
): Promise<void> {
  for (let resends = 0; ; resends += 1) {
    try {
      await client.request('block', fields, content);
      return;
    } catch (error) {
      if (resends === MAX_RESENDS || !isSealiftError(error, 'digest-mismatch', 'incomplete')) throw error;
    }
  }
}
