import { SealiftError } from '../../errors.ts';
import type { Answer, Exchange } from '../exchange.ts';

/** `block`: one block of an upload. */
export async function block({ fields, content, state }: Exchange<'block'>): Promise<Answer> {
  const { upload: id, index, digest } = fields;
  const upload = state.uploads.find(state.owner, id);
  upload.users.add(state);
  state.ownUploads.add(upload);
  const isAllHeld = await state.blocks.track(upload, index, () => upload.write(index, digest, content));
  if (isAllHeld) return { fields: { held: upload.heldBytes } };
  throw new SealiftError('incomplete', 'A block that was sent before this one is not held.', {
    details: { upload: id, index },
  });
}
