import type { Message } from '../protocol/decoder.ts';
import { parseRequest, type Request, type RequestFields } from '../protocol/requests.ts';
import { SMALL_FILE_BYTES } from '../transfer/blocks.ts';
import { authorize } from './authorization.ts';
import type { Cancellation } from './cancellation.ts';
import type { Answer, SessionState } from './exchange.ts';
import { answerToGet } from './handlers/get.ts';
import { answerToPut, checkedPut, tellingWhatStands } from './handlers/put.ts';

/** A request for a small file that has begun. */
export interface SmallRequest {
  request: Request;
  /** Resolves with its answer, or with undefined if it has to go the usual way after all. */
  answering: Promise<Answer | undefined>;
}

/**
 * Begins to put or get a small file, of which many come together, with as little as possible for each: what is begun in one
 * turn of the event loop goes to the store together. Undefined if the request has to go the usual way, where also is told what
 * is wrong with it: it is judged in the same step in which it begins.
 */
export function beginSmall(
  message: Message,
  state: SessionState,
  cancellation: Cancellation,
): SmallRequest | undefined {
  if (!mayBeSmall(message, state)) return undefined;
  try {
    const request = parseRequest(message.header);
    authorize(request, state.grant, { made: state.made });
    const answering =
      request.action === 'put'
        ? put(request.fields, message.content, state, cancellation)
        : request.action === 'get'
          ? get(request.fields, state)
          : undefined;
    return answering && { request, answering };
  } catch {
    return undefined;
  }
}

/** By a look that costs little, for whatever comes. */
function mayBeSmall({ header, content }: Message, { store, encoding, grant }: SessionState): boolean {
  const { action } = header;
  // What is answered to a get is neither compressed here nor held back.
  if (action === 'get')
    return store.readSmall !== undefined && encoding === undefined && grant.bytesPerSecond === undefined;
  return (
    action === 'put' &&
    store.putSmall !== undefined &&
    header['durability'] === 'memory' &&
    header['content-encoding'] === 'binary' &&
    content.length <= SMALL_FILE_BYTES
  );
}

function put(
  { digest, ...fields }: RequestFields<'put'>,
  content: Buffer,
  state: SessionState,
  cancellation: Cancellation,
): Promise<Answer | undefined> | undefined {
  const { quotas, store, unsynced } = state;
  const { path } = fields;
  if (digest === undefined) return undefined;
  if (quotas.concern(state, { type: 'put', path, bytes: content.length })) return undefined;
  const checked = checkedPut({ ...fields, digest }, content, state);
  const circumstances = {
    state,
    get signal() {
      return cancellation.signal;
    },
  };
  return tellingWhatStands(circumstances, path, async () => {
    const entry = await store.putSmall?.(checked.publication, content);
    if (entry === undefined) return undefined;
    await unsynced.add(entry.path);
    return answerToPut(checked, entry, state);
  });
}

function get(
  { path, version, ifMatch }: RequestFields<'get'>,
  state: SessionState,
): Promise<Answer | undefined> | undefined {
  if (version !== undefined || ifMatch !== undefined) return undefined;
  const release = state.answerBytes.takeNow(SMALL_FILE_BYTES);
  return release && getKeeping(path, state, release);
}

async function getKeeping(
  path: string,
  state: SessionState,
  release: () => void,
): Promise<Answer | undefined> {
  try {
    const file = await state.store.readSmall?.(path);
    if (file !== undefined) return { ...answerToGet(file.entry, file.content, state), release };
  } catch (error) {
    release();
    throw error;
  }
  release();
  return undefined;
}
