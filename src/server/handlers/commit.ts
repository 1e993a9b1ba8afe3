import { isSealiftError } from '../../errors.ts';
import { writeFields } from '../../protocol/fields.ts';
import { CONTENT_TYPE } from '../../protocol/header.ts';
import { noteMade, type Answer, type Exchange } from '../exchange.ts';
import { tellingWhatStands } from './put.ts';

/** `commit`: publishes an upload. */
export async function commit(exchange: Exchange<'commit'>): Promise<Answer> {
  const { fields, state } = exchange;
  const { upload: id, size, digest } = fields;
  // Also one that another connection began; none if it was published before.
  const upload = state.uploads.peek(state.owner, id);
  exchange.progress = () => ({ upload: id });
  if (upload !== undefined) {
    upload.addUser(state);
    state.ownUploads.add(upload);
  }
  try {
    const receipt = await tellingWhatStands(exchange, upload?.request.path ?? '', () =>
      state.uploads.commit(state.owner, id, size, digest),
    );
    if (receipt.durability === 'memory') await state.unsynced.add(receipt.path);
    if (upload !== undefined) {
      noteMade(state, receipt.path);
      state.ownUploads.delete(upload);
      state.blocks.forget(upload);
    }
    return { fields: writeFields(receipt) };
  } catch (error) {
    if (isSealiftError(error, 'incomplete')) await sendHeld(exchange);
    throw error;
  }
}

async function sendHeld(exchange: Exchange<'commit'>): Promise<void> {
  const { fields, state } = exchange;
  for (const page of state.uploads.find(state.owner, fields.upload).heldPages()) {
    await exchange.part('more', { content: page, contentType: CONTENT_TYPE.digestList });
  }
}
