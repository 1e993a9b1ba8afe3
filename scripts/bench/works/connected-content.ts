import { createCipheriv } from 'node:crypto';

/** Under which name a connection puts its file. */
export function nameOf(index: number): string {
  return `connection-${index}`;
}

/** What it puts: of every connection something else, and like random bytes. */
export function contentOf(index: number, bytes: number): Buffer {
  const nonce = Buffer.alloc(16);
  nonce.writeUInt32BE(index);
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), nonce).update(Buffer.alloc(bytes));
}
