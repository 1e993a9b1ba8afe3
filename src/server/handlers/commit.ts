import { throwIfAborted } from '../../clock.ts';
import { isSealiftError } from '../../errors.ts';
import { writeFields } from '../../protocol/fields.ts';
import { CONTENT_TYPE } from '../../protocol/header.ts';
import type { Entry } from '../../storage/store.ts';
import { assertFileSize } from '../file-size.ts';
import { endWorkWith, noteMade, workWith, type Answer, type Exchange } from '../exchange.ts';
import type { Upload } from '../upload.ts';
import { refusal, tellingWhatStands } from './put.ts';

/** `commit`: publishes an upload. */
export async function commit(exchange: Exchange<'commit'>): Promise<Answer> {
  const { fields, state } = exchange;
  const { upload: id, size, digest } = fields;
  // Also one that another connection began; none if it was published before.
  const upload = state.uploads.peek(state.owner, id);
  exchange.progress = () => ({ upload: id });
  if (upload !== undefined) {
    workWith(state, upload);
  }
  const publish = async () => {
    if (upload !== undefined) await state.blocks.settled(upload);
    return changing(exchange, upload, () =>
      state.uploads.commit(state.owner, id, {
        size,
        digest,
        mayReplace: state.grant.permissions.has('delete'),
      }),
    );
  };
  try {
    const isUnsynced = upload?.request.durability === 'memory';
    const receipt = await tellingWhatStands(exchange, upload?.request.path ?? '', () =>
      isUnsynced ? state.unsynced.publishing(upload.request.path, publish) : publish(),
    );
    // One that was published before may not have been synced either.
    if (upload === undefined && receipt.durability === 'memory') await state.unsynced.add(receipt.path);
    if (upload !== undefined) {
      noteMade(state, receipt);
      endWorkWith(state, upload);
    }
    return { fields: writeFields(receipt) };
  } catch (error) {
    if (isSealiftError(error, 'incomplete')) await sendHeld(exchange);
    throw error;
  }
}

/** Publishes within what the principal may have by now, which may be less than when the upload began. */
async function changing<T>(
  { fields: { size }, state }: Exchange<'commit'>,
  upload: Upload | undefined,
  publish: () => Promise<T>,
): Promise<T> {
  if (upload === undefined) return publish();
  assertFileSize(size, state.grant);
  const { key: uploadKey, request } = upload;
  const isRefused = refusal(request);
  // Another commit of it may have been at work, and be done by then.
  const needsNoRoom = (replaced: Entry | undefined) => upload.isEnded || isRefused(replaced);
  return state.quotas.change(
    state,
    { type: 'put', path: request.path, bytes: size, uploadKey, needsNoRoom },
    publish,
  );
}

async function sendHeld(exchange: Exchange<'commit'>): Promise<void> {
  const { fields, state } = exchange;
  for (const page of state.uploads.find(state.owner, fields.upload).heldPages()) {
    throwIfAborted(exchange.signal);
    await exchange.part('more', { content: page, contentType: CONTENT_TYPE.digestList });
  }
}
