import { MessageDecoder, type Message } from '../../src/protocol/decoder.ts';

/** The four fields that every header has, sound, for a message without content. */
export const FRAME_FIELDS = {
  byteorder: 'little',
  'content-length': 0,
  'content-type': 'text/json',
  'content-encoding': 'utf-8',
} as const;

/** The text of a sound header with these fields; one that is undefined is missing. */
export function headerText(fields: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ ...FRAME_FIELDS, ...fields });
}

/** A message with exactly this header, sound or not. Made by hand, so that decoder and encoder are tested apart. */
export function rawMessage(header: string | Uint8Array, content: string | Uint8Array = ''): Buffer {
  const bytes = Buffer.from(header);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes, Buffer.from(content)]);
}

/** A sound message with these fields and this content. */
export function message(
  fields: Readonly<Record<string, unknown>>,
  content: string | Uint8Array = '',
): Buffer {
  return rawMessage(headerText({ ...fields, 'content-length': Buffer.from(content).length }), content);
}

/** What a fresh decoder makes of these chunks. Each is given away as a copy, as a socket would. */
export function decode(...chunks: Buffer[]): Message[] {
  const decoder = new MessageDecoder();
  const messages: Message[] = [];
  for (const chunk of chunks) decoder.push(Buffer.from(chunk), (found) => messages.push(found));
  return messages;
}
