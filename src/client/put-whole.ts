import { throwIfAborted } from '../clock.ts';
import type { DigestAlgorithm } from '../transfer/digests.ts';
import { abortable } from './abortable.ts';
import type { BlockSource } from './block-source.ts';
import type { Connector } from './connector.ts';
import { assertLength } from './source-digests.ts';
import { retrying } from './transfer-options.ts';
import { putOptionsOf, type UploadOptions, type UploadResult } from './upload-options.ts';
import { UploadPublishing } from './upload-publishing.ts';

/** As `upload`, for a source of at most one block, which goes in one request. */
export async function putWhole(
  connector: Connector,
  source: BlockSource,
  path: string,
  options: UploadOptions,
): Promise<UploadResult> {
  const { signal, throttle, beforePublishing, onProgress } = options;
  const put = putOptionsOf(source, options);
  const publishing = new UploadPublishing(path, { ...put, beforePublishing });
  const run = { sentBytes: 0, retries: 0 };
  let algorithm: DigestAlgorithm | undefined;
  const { receipt, client } = await retrying(options, run, async () => {
    const used = await connector.use(signal);
    // What was sent in an earlier attempt would be known by another digest.
    if (algorithm !== undefined && algorithm !== used.algorithm) publishing.forget();
    ({ algorithm } = used);
    const content = (await source.block(0)) ?? NOTHING;
    await source.assertUnchanged();
    assertLength(source, 0, content);
    throwIfAborted(signal);
    if (throttle !== undefined) await abortable(throttle(content.length), signal);
    const digests = used.digestsOf(content);
    run.sentBytes += content.length;
    const whole = { size: content.length, digest: digests.file };
    const answer = await publishing.inline(used, whole, () => used.putHashed(path, content, digests, put));
    source.release(0, content);
    return { receipt: answer, client: used };
  });
  const { size } = receipt;
  onProgress?.({ totalBytes: size, doneBytes: size, resumedBytes: 0, movedBytes: run.sentBytes });
  return { receipt, client, resumedBytes: 0, ...run };
}

const NOTHING = Buffer.alloc(0);
