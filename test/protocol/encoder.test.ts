import { describe, expect, test } from 'vitest';
import { encodeHead, encodeMessage } from '../../src/protocol/encoder.ts';
import { NATIVE_BYTE_ORDER } from '../../src/protocol/header.ts';
import { MAX_CONTENT_BYTES, MAX_HEADER_BYTES } from '../../src/protocol/limits.ts';
import { codeThrownBy } from '../thrown.ts';
import { decode } from './frames.ts';

/** The header of encoded bytes, read without the project's own decoder. */
function headerOf(bytes: Buffer): unknown {
  return JSON.parse(bytes.subarray(2, 2 + bytes.readUInt16BE(0)).toString());
}

const plain = {
  byteorder: NATIVE_BYTE_ORDER,
  'content-length': 0,
  'content-type': 'application/octet-stream',
  'content-encoding': 'binary',
};

test('a message is its length, its header and its content, and nothing else', () => {
  const bytes = encodeMessage({ fields: { id: 1 }, content: Buffer.from('hello') });
  const headerBytes = bytes.readUInt16BE(0);
  expect(headerOf(bytes)).toEqual({ ...plain, 'content-length': 5, id: 1 });
  expect(bytes.subarray(2 + headerBytes).toString()).toBe('hello');
});

test('the head is the same message without its content', () => {
  const outgoing = { fields: { id: 1 }, content: Buffer.from('hello') };
  expect(Buffer.concat([encodeHead(outgoing), outgoing.content])).toEqual(encodeMessage(outgoing));
});

test('the header length counts bytes, not characters', () => {
  const bytes = encodeMessage({ fields: { path: 'Grüße/日本/😀' } });
  expect(bytes.length).toBe(2 + bytes.readUInt16BE(0));
  expect(headerOf(bytes)).toEqual({ ...plain, path: 'Grüße/日本/😀' });
});

test.each([
  [{}, 'application/octet-stream', 'binary'],
  [{ contentType: 'text/json' }, 'text/json', 'utf-8'],
  [{ contentType: 'image/png' }, 'image/png', 'binary'],
  [{ contentEncoding: 'zstd' }, 'application/octet-stream', 'zstd'],
  [{ contentType: 'text/json', contentEncoding: 'gzip' }, 'text/json', 'gzip'],
])('with %j the content is %s in %s', (given, type, encoding) => {
  expect(headerOf(encodeHead({ fields: {}, ...given }))).toEqual({
    ...plain,
    'content-type': type,
    'content-encoding': encoding,
  });
});

test('no field can stand in for one of the four, or the stream would go out of step', () => {
  const fields = {
    byteorder: 'middle',
    'content-length': 99,
    'content-type': 'a/b',
    'content-encoding': 'c',
    id: 1,
  };
  expect(headerOf(encodeHead({ fields }))).toEqual({ ...plain, id: 1 });
});

test('a field that is undefined is left out', () => {
  expect(headerOf(encodeHead({ fields: { id: 1, token: undefined } }))).toEqual({ ...plain, id: 1 });
});

test('what is encoded can be decoded', () => {
  const fields = { id: 9, list: ['a', 1, null], path: 'ü' };
  const [found] = decode(encodeMessage({ fields, content: Buffer.from('bytes') }));
  expect(found?.header).toEqual({ ...plain, ...fields, 'content-length': 5 });
  expect(found?.content.toString()).toBe('bytes');
});

describe('nothing is sent that no peer would take', () => {
  test('a header over its limit', () => {
    const room = MAX_HEADER_BYTES - (encodeHead({ fields: { padding: '' } }).length - 2);
    expect(encodeHead({ fields: { padding: 'x'.repeat(room) } }).readUInt16BE(0)).toBe(MAX_HEADER_BYTES);
    expect(codeThrownBy(() => encodeHead({ fields: { padding: 'x'.repeat(room + 1) } }))).toBe(
      'header-too-large',
    );
    // Fewer characters than the limit, but more bytes.
    expect(codeThrownBy(() => encodeHead({ fields: { padding: '日'.repeat(room / 2) } }))).toBe(
      'header-too-large',
    );
  });

  test('a content over its limit', () => {
    const encode = (bytes: number) => encodeHead({ fields: {}, content: Buffer.alloc(bytes) });
    expect(headerOf(encode(MAX_CONTENT_BYTES))).toMatchObject({ 'content-length': MAX_CONTENT_BYTES });
    expect(codeThrownBy(() => encode(MAX_CONTENT_BYTES + 1))).toBe('content-too-large');
  });
});
