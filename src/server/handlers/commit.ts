import { isSealiftError } from '../../errors.ts';
import { writeFields } from '../../protocol/fields.ts';
import { CONTENT_TYPE } from '../../protocol/header.ts';
import { assertFileSize } from '../file-size.ts';
import { endWorkWith, noteMade, workWith, type Answer, type Exchange } from '../exchange.ts';
import type { Upload } from '../upload.ts';
import { tellingWhatStands } from './put.ts';

/** `commit`: publishes an upload. */
export async function commit(exchange: Exchange<'commit'>): Promise<Answer> {
  const { fields, state } = exchange;
  const { upload: id, size, digest } = fields;
  // Also one that another connection began; none if it was published before.
  const upload = state.uploads.peek(state.owner, id);
  exchange.progress = () => ({ upload: id });
  if (upload !== undefined) {
    workWith(state, upload);
    await state.blocks.settled(upload);
  }
  try {
    const receipt = await tellingWhatStands(exchange, upload?.request.path ?? '', () =>
      changing(exchange, upload, () =>
        state.uploads.commit(state.owner, id, {
          size,
          digest,
          mayReplace: state.grant.permissions.has('delete'),
        }),
      ),
    );
    if (receipt.durability === 'memory') await state.unsynced.add(receipt.path);
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
  return state.quotas.change(state, { type: 'put', path: request.path, bytes: size, uploadKey }, publish);
}

async function sendHeld(exchange: Exchange<'commit'>): Promise<void> {
  const { fields, state } = exchange;
  for (const page of state.uploads.find(state.owner, fields.upload).heldPages()) {
    await exchange.part('more', { content: page, contentType: CONTENT_TYPE.digestList });
  }
}
