/** How far a transfer is; none of the numbers ever runs backwards, unless a smaller version of the file has to be fetched. */
export interface TransferProgress {
  /** Bytes of the whole file; null while that is not known. */
  totalBytes: number | null;
  /** Bytes that the receiver holds, checked. */
  doneBytes: number;
  /** Of these, bytes that were found in place. */
  resumedBytes: number;
  /** File bytes given to or taken from the socket, over all attempts. */
  movedBytes: number;
}
