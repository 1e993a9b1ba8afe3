import { SealiftError } from '../errors.ts';
import { CONTENT_TYPE, NATIVE_BYTE_ORDER } from './header.ts';
import { LENGTH_BYTES, MAX_CONTENT_BYTES, MAX_HEADER_BYTES } from './limits.ts';

const ROOM_FOR_LENGTH = '\0'.repeat(LENGTH_BYTES);

/** A message about to be sent. */
export interface OutgoingMessage {
  /** The header's own fields; the four of the header protocol are added. */
  fields: Readonly<Record<string, unknown>>;
  /** At most 1 MiB; none is the same as empty. */
  content?: Uint8Array;
  /** A media type; `application/octet-stream` unless told otherwise. */
  contentType?: string;
  /** `utf-8` for `text/json`, else `binary`, unless told otherwise. */
  contentEncoding?: string;
}

/**
 * The length and the header of a message, ready to be sent before its content. Throws `header-too-large` or
 * `content-too-large` rather than sending what no peer would take.
 */
export function encodeHead({ fields, content, contentType, contentEncoding }: OutgoingMessage): Buffer {
  const contentLength = content?.length ?? 0;
  if (contentLength > MAX_CONTENT_BYTES) {
    throw new SealiftError(
      'content-too-large',
      `A content of ${contentLength} bytes does not fit a message.`,
    );
  }
  const type = contentType ?? CONTENT_TYPE.bytes;
  const text = JSON.stringify({
    ...fields,
    // Last, so that no field can put another length in place of the true one.
    byteorder: NATIVE_BYTE_ORDER,
    'content-length': contentLength,
    'content-type': type,
    'content-encoding': contentEncoding ?? (type === CONTENT_TYPE.json ? 'utf-8' : 'binary'),
  });
  const head = Buffer.from(`${ROOM_FOR_LENGTH}${text}`);
  const headerBytes = head.length - LENGTH_BYTES;
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new SealiftError(
      'header-too-large',
      `A header of ${headerBytes} bytes is longer than ${MAX_HEADER_BYTES}.`,
    );
  }
  head.writeUInt16BE(headerBytes, 0);
  return head;
}

/** A whole message in one buffer, for tests and small messages. */
export function encodeMessage(message: OutgoingMessage): Buffer {
  return Buffer.concat([encodeHead(message), message.content ?? Buffer.alloc(0)]);
}
