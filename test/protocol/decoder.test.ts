import { describe, expect, test } from 'vitest';
import { MessageDecoder, type Message } from '../../src/protocol/decoder.ts';
import { MAX_CONTENT_BYTES, MAX_HEADER_BYTES } from '../../src/protocol/limits.ts';
import { codeThrownBy, thrownBy } from '../thrown.ts';
import { decode, FRAME_FIELDS, headerText, message, rawMessage } from './frames.ts';

const samples: [name: string, bytes: Buffer, header: Record<string, unknown>, content: string][] = [
  ['without content', message({ action: 'ping', id: 1 }), { action: 'ping', id: 1 }, ''],
  ['with content', message({ id: 2 }, 'hello'), { id: 2, 'content-length': 5 }, 'hello'],
  [
    'with a content that looks like a message',
    message({ id: 3 }, message({ id: 4 })),
    { id: 3, 'content-length': message({ id: 4 }).length },
    message({ id: 4 }).toString(),
  ],
  [
    'beyond ASCII',
    message({ path: 'Grüße/日本.txt' }, '✓'),
    { path: 'Grüße/日本.txt', 'content-length': 3 },
    '✓',
  ],
];
const stream = Buffer.concat(samples.map(([, bytes]) => bytes));

function expectSamples(messages: Message[]): void {
  expect(messages.map(({ header, content }) => [header, content.toString()])).toEqual(
    samples.map(([, , header, content]) => [{ ...FRAME_FIELDS, ...header }, content]),
  );
}

describe('however the bytes are cut, the messages are the same', () => {
  test.each(samples)('a message %s, cut in two at every byte', (_, bytes, header, content) => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const [only, ...more] = decode(bytes.subarray(0, cut), bytes.subarray(cut));
      expect(more).toEqual([]);
      expect(only?.header).toEqual({ ...FRAME_FIELDS, ...header });
      expect(only?.content.toString()).toBe(content);
    }
  });

  test('many messages in one segment', () => expectSamples(decode(stream)));

  test('many messages, byte by byte', () => {
    expectSamples(decode(...Array.from(stream, (byte) => Buffer.of(byte))));
  });

  test('many messages, cut in two at every byte', () => {
    for (let cut = 1; cut < stream.length; cut += 1) {
      expectSamples(decode(stream.subarray(0, cut), stream.subarray(cut)));
    }
  });

  test('the largest header and the largest content', () => {
    const padding = 'x'.repeat(
      MAX_HEADER_BYTES - headerText({ padding: '', 'content-length': MAX_CONTENT_BYTES }).length,
    );
    const header = headerText({ padding, 'content-length': MAX_CONTENT_BYTES });
    const content = Buffer.alloc(MAX_CONTENT_BYTES, 'abc');
    const bytes = rawMessage(header, content);
    const [found] = decode(bytes.subarray(0, 9_000), bytes.subarray(9_000, 500_000), bytes.subarray(500_000));
    expect(found?.header['padding']).toBe(padding);
    expect(found?.content.equals(content)).toBe(true);
  });
});

describe('what ends the stream', () => {
  const refusals: [name: string, bytes: Buffer, code: string][] = [
    ['a header length of 0', Buffer.of(0, 0), 'bad-frame'],
    ['a header length over the limit, on its second byte', Buffer.of(0x40, 0x01), 'header-too-large'],
    ['the greatest header length', Buffer.of(0xff, 0xff), 'header-too-large'],
    ['a header that is no JSON', rawMessage('{'), 'bad-header'],
    [
      'a content length over the limit, before the content',
      rawMessage(headerText({ 'content-length': MAX_CONTENT_BYTES + 1 })),
      'content-too-large',
    ],
    [
      'a content length of 2^53 - 1',
      rawMessage(headerText({ 'content-length': Number.MAX_SAFE_INTEGER })),
      'content-too-large',
    ],
    ['a request of HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'header-too-large'],
    ['the greeting of SSH', Buffer.from('SSH-2.0-OpenSSH_9.9\r\n'), 'header-too-large'],
    // Its first two bytes, 16 03, are a possible length, so the rest has to come before it can be judged.
    ['a ClientHello', Buffer.concat([Buffer.of(0x16, 0x03), Buffer.alloc(0x1603, 0x01)]), 'bad-header'],
  ];

  test.each(refusals)('%s', (_, bytes, code) => {
    expect(codeThrownBy(() => decode(bytes))).toBe(code);
    expect(codeThrownBy(() => decode(...Array.from(bytes, (byte) => Buffer.of(byte))))).toBe(code);
  });

  test.each(refusals)('%s: the messages before it still count, nothing after it does', (_, bytes) => {
    const decoder = new MessageDecoder();
    const ids: unknown[] = [];
    const deliver = ({ header }: Message) => ids.push(header['id']);
    const first = thrownBy(() =>
      decoder.push(Buffer.concat([message({ id: 1 }), bytes, message({ id: 2 })]), deliver),
    );
    expect(thrownBy(() => decoder.push(message({ id: 3 }), deliver))).toBe(first);
    expect(thrownBy(() => decoder.end())).toBe(first);
    expect(ids).toEqual([1]);
  });

  test('what the receiver of a message throws, since the bytes after that message are lost', () => {
    const decoder = new MessageDecoder();
    const mistake = new Error('a mistake in a handler');
    const push = (...messages: Buffer[]) =>
      thrownBy(() =>
        decoder.push(Buffer.concat(messages), () => {
          throw mistake;
        }),
      );
    const first = push(message({ id: 1 }), message({ id: 2 }).subarray(0, 3));
    // No more than that is anything for the peer.
    const told = { code: 'internal', message: 'Something failed that should not have.', retryable: true };
    expect(first).toMatchObject({ ...told, cause: mistake });
    expect(push(message({ id: 3 }))).toBe(first);
  });

  test('an end inside a message, but not one between two', () => {
    const bytes = message({ id: 1 }, 'hello');
    for (let length = 0; length <= bytes.length; length += 1) {
      const decoder = new MessageDecoder();
      decoder.push(Buffer.from(bytes.subarray(0, length)), () => undefined);
      if (length === 0 || length === bytes.length) decoder.end();
      else expect(codeThrownBy(() => decoder.end())).toBe('bad-frame');
    }
  });
});

describe('the limit of contents', () => {
  test('is told to the decoder, and holds exactly', () => {
    const push = (content: string) =>
      new MessageDecoder({ maxContentBytes: 4 }).push(message({}, content), () => undefined);
    expect(() => push('four')).not.toThrow();
    expect(codeThrownBy(() => push('fifth'))).toBe('content-too-large');
  });

  test('may be raised by the message before, in the same segment', () => {
    const decoder = new MessageDecoder({ maxContentBytes: 0 });
    const contents: string[] = [];
    decoder.push(Buffer.concat([message({}), message({}, 'hello')]), ({ content }) => {
      contents.push(content.toString());
      decoder.maxContentBytes = 5;
    });
    expect(contents).toEqual(['', 'hello']);
  });
});

test('a content that lies in one chunk is a view of it, since copying is what costs most', () => {
  const chunk = message({ id: 1 }, 'hello');
  const contents: Buffer[] = [];
  new MessageDecoder().push(chunk, ({ content }) => contents.push(content));
  chunk.fill('x', chunk.length - 'hello'.length);
  expect(contents.map(String)).toEqual(['xxxxx']);
});

test('of a content that is only announced there is no more in memory than came', () => {
  const lengths: number[] = [];
  const allocate = (length: number) => {
    lengths.push(length);
    return Buffer.alloc(length);
  };
  const bytes = message({ id: 1 }, 'hello');
  const contents: string[] = [];
  const decoder = new MessageDecoder({ allocate, chunksAreLent: true });
  const push = (chunk: Buffer) => decoder.push(chunk, ({ content }) => contents.push(content.toString()));
  push(bytes.subarray(0, -3));
  expect(lengths).toEqual([]);
  push(bytes.subarray(-3));
  push(bytes);
  expect([contents, lengths]).toEqual([
    ['hello', 'hello'],
    [5, 5],
  ]);
});

test('the state says where in a message the stream stands', () => {
  const bytes = message({ id: 1 }, 'hello');
  const decoder = new MessageDecoder();
  const states = [decoder.state];
  for (const byte of bytes) {
    decoder.push(Buffer.of(byte), () => undefined);
    states.push(decoder.state);
  }
  const headBytes = bytes.length - 'hello'.length;
  expect(states).toEqual([
    'between',
    ...Array.from({ length: headBytes - 1 }, () => 'header'),
    ...Array.from({ length: 'hello'.length }, () => 'content'),
    'between',
  ]);
});
