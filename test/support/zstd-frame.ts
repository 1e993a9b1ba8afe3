const PIECE_BYTES = 131_072;
const REPEATED = 2;
const LAST = 1;

/** A frame of zstd (RFC 8878) that asks for a window of 2 to the `windowLog` bytes and decodes to `pieces` × 128 KiB of one letter. */
export function zstdFrame(windowLog: number, pieces: number): Buffer {
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, (windowLog - 10) << 3]);
  const blocks = Array.from({ length: pieces }, (_, index) => {
    const block = Buffer.alloc(4, 'x');
    block.writeUIntLE(PIECE_BYTES * 8 + REPEATED + (index === pieces - 1 ? LAST : 0), 0, 3);
    return block;
  });
  return Buffer.concat([head, ...blocks]);
}
