import { SealiftError } from '../../errors.ts';
import { toWireError } from '../../protocol/wire-errors.ts';
import { BLOCK_BYTES } from '../../protocol/limits.ts';
import { assertFileSize } from '../file-size.ts';
import { workWith, type Answer, type Exchange } from '../exchange.ts';

/** `block`: one block of an upload. Every error names the block: one that came without id is known by nothing else. */
export async function block(exchange: Exchange<'block'>): Promise<Answer> {
  const { upload, index } = exchange.fields;
  try {
    return await takeBlock(exchange);
  } catch (error) {
    const { code, message, cause, details, retryAfterMs } = toWireError(error);
    const context = retryAfterMs === undefined ? {} : { retryAfterMs };
    throw new SealiftError(code, message, { ...context, cause, details: { ...details, upload, index } });
  }
}

async function takeBlock(exchange: Exchange<'block'>): Promise<Answer> {
  const { fields, content, state } = exchange;
  const { upload: id, index, digest } = fields;
  const upload = state.uploads.find(state.owner, id);
  workWith(state, upload);
  // Mostly over at once; but after a write that failed, all that is held has to be hashed first.
  exchange.progress = () => ({ upload: id, held: upload.heldBytes });
  const end = index * BLOCK_BYTES + content.length;
  const isAllHeld = await state.blocks.track(upload, index, async () => {
    assertFileSize(end, state.grant);
    await state.uploads.takingRoom(upload, () =>
      upload.write(index, digest, content, {
        takeRoom: () => state.quotas.extendUpload(state, upload, end),
        onAccepted: () => tellReceived(exchange),
      }),
    );
  });
  if (isAllHeld) return { fields: { held: upload.heldBytes } };
  throw new SealiftError('incomplete', 'A block that was sent before this one is not held.');
}

// So that more of them can be on their way than may have to come twice: writing takes longer than receiving.
function tellReceived(exchange: Exchange<'block'>): void {
  if (exchange.header['id'] === undefined) return;
  // A connection that is gone is noticed by whoever reads from it.
  exchange.part('progress', { fields: { received: true } }).catch(() => undefined);
}
