/** What is known of an upload of which data is kept; as `Store.uploads` tells it. */
export interface KeptUpload {
  /** What stands before the first `-` is whom it belongs to. */
  key: string;
  bytes: number;
  lastWrittenMs: number;
}

/** How much of unfinished uploads is kept, and for how long. */
export interface AbandonedUploadCaps {
  /** An upload that nobody has written to for longer is given up, in milliseconds. */
  maxAgeMs: number;
  /** Uploads of one owner. */
  maxCountPerOwner: number;
  /** Bytes of all uploads of one owner. */
  maxBytesPerOwner: number;
}

/**
 * A week, so that what broke off on a Friday goes on after a long weekend. A thousand uploads, which is more than
 * any client sends at once. 256 GiB, so that a few large files may wait and yet no owner fills a server's disk
 * with what is of use to nobody.
 */
export const DEFAULT_ABANDONED_UPLOAD_CAPS: Readonly<AbandonedUploadCaps> = {
  maxAgeMs: 7 * 24 * 60 * 60 * 1000,
  maxCountPerOwner: 1000,
  maxBytesPerOwner: 256 * 2 ** 30,
};

/**
 * Which uploads are to be discarded, by their keys, the oldest first: those that are too old, and then, as long as
 * an owner has more than the caps allow, the oldest of that owner. One that is `running` is never chosen, but
 * counts towards what its owner has.
 */
export function abandonedUploads(
  uploads: Iterable<KeptUpload>,
  { running, nowMs, caps }: { running: ReadonlySet<string>; nowMs: number; caps: AbandonedUploadCaps },
): string[] {
  const sums = new Map<string, { count: number; bytes: number }>();
  const removable: KeptUpload[] = [];
  for (const upload of uploads) {
    const sum = sums.get(ownerOf(upload)) ?? { count: 0, bytes: 0 };
    sum.count += 1;
    sum.bytes += upload.bytes;
    sums.set(ownerOf(upload), sum);
    if (!running.has(upload.key)) removable.push(upload);
  }
  const abandoned = removable.sort(byAge).filter((upload) => {
    const sum = sums.get(ownerOf(upload));
    const isTooOld = nowMs - upload.lastWrittenMs > caps.maxAgeMs;
    if (sum === undefined || (!isTooOld && isWithinCaps(sum, caps))) return false;
    sum.count -= 1;
    sum.bytes -= upload.bytes;
    return true;
  });
  return abandoned.map(({ key }) => key);
}

function isWithinCaps(
  { count, bytes }: { count: number; bytes: number },
  { maxCountPerOwner, maxBytesPerOwner }: AbandonedUploadCaps,
): boolean {
  return count <= maxCountPerOwner && bytes <= maxBytesPerOwner;
}

// By key where the age is the same, so that the same uploads are chosen whatever order they are listed in.
function byAge(a: KeptUpload, b: KeptUpload): number {
  return a.lastWrittenMs - b.lastWrittenMs || (a.key < b.key ? -1 : 1);
}

function ownerOf({ key }: KeptUpload): string {
  return key.split('-', 1)[0] ?? key;
}
