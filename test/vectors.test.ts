import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { MessageDecoder } from '../src/protocol/decoder.ts';
import { encodeMessage } from '../src/protocol/encoder.ts';
import { MAX_CONTENT_BYTES, MAX_CONTENT_BYTES_BEFORE_HELLO } from '../src/protocol/limits.ts';
import { BlockMap, DigestListReader } from '../src/transfer/block-map.ts';
import { BLOCK_BYTES, blockCount } from '../src/transfer/blocks.ts';
import {
  blockDigest,
  DIGEST_ALGORITHMS,
  fileDigest,
  formatBlockDigest,
  type DigestAlgorithm,
} from '../src/transfer/digests.ts';
import { pathProblem } from '../src/transfer/remote-path.ts';
import { decode, rawMessage } from './protocol/frames.ts';
import { codeThrownBy } from './thrown.ts';

interface SoundMessage {
  name: string;
  bytes: string;
  header: Record<string, unknown>;
  content: string;
}

describe('messages', () => {
  test.each(vectors<SoundMessage[]>('messages'))('$name is read', ({ bytes, header, content }) => {
    const sent = Buffer.from(bytes, 'hex');
    const headerBytes = sent.readUInt16BE();
    expect(decode(sent)).toEqual([{ header, headerBytes, content: Buffer.from(content, 'hex') }]);
  });

  test.each(vectors<SoundMessage[]>('messages'))(
    '$name is written, but for the byte order, which is our own',
    ({ header, content }) => {
      const {
        byteorder,
        'content-type': contentType,
        'content-encoding': contentEncoding,
        ...fields
      } = header;
      const written = encodeMessage({
        fields,
        content: Buffer.from(content, 'hex'),
        contentType: contentType as string,
        contentEncoding: contentEncoding as string,
      });
      const [read] = decode(written);
      expect({ ...read?.header, byteorder }).toEqual(header);
      expect(read?.content.toString('hex')).toBe(content);
    },
  );
});

interface MalformedMessage {
  name: string;
  bytes: string;
  code: string;
  header?: string;
  ends?: boolean;
  'before-hello'?: boolean;
}

describe('malformed', () => {
  test.each(vectors<MalformedMessage[]>('malformed'))('$name is $code', (vector) => {
    const maxContentBytes = vector['before-hello'] ? MAX_CONTENT_BYTES_BEFORE_HELLO : MAX_CONTENT_BYTES;
    const decoder = new MessageDecoder({ maxContentBytes });
    const push = () => decoder.push(Buffer.from(vector.bytes, 'hex'), () => undefined);
    if (vector.ends) {
      push();
      expect(codeThrownBy(() => decoder.end())).toBe(vector.code);
    } else {
      expect(codeThrownBy(push)).toBe(vector.code);
    }
  });

  const legible = vectors<MalformedMessage[]>('malformed').filter(({ header }) => header !== undefined);
  test.each(legible)('$name: the text of the header is that of the bytes', ({ bytes, header = '' }) => {
    expect(rawMessage(header).toString('hex')).toBe(bytes);
  });
});

interface PathVector {
  path?: string;
  repeated?: [text: string, times: number][];
}

describe('paths', () => {
  const { valid, invalid } = vectors<{ valid: PathVector[]; invalid: PathVector[] }>('paths');
  const spelled = ({ path, repeated = [] }: PathVector) =>
    path ?? repeated.map(([text, times]) => text.repeat(times)).join('');

  test.each(valid.map(spelled))('%j is a path', (path) => expect(pathProblem(path)).toBeUndefined());
  test.each(invalid.map(spelled))('%j is none', (path) => expect(pathProblem(path)).toBeDefined());
});

interface DigestListVector {
  name: string;
  'file-blocks': number;
  pages: string[];
  held?: Record<string, string>;
  refused?: true;
}

describe('digest lists', () => {
  const lists = vectors<DigestListVector[]>('digest-lists');
  const pagesOf = ({ pages }: DigestListVector) => pages.map((page) => Buffer.from(page, 'hex'));

  test.each(lists)('$name', (vector) => {
    const reader = new DigestListReader();
    const taken = pagesOf(vector).every((page) => reader.push(page, vector['file-blocks']));
    expect(taken).toBe(vector.refused === undefined);
    if (!taken) return;
    const held = Array.from({ length: vector['file-blocks'] }, (_, index) => [
      index,
      reader.map.digest(index)?.toString('hex'),
    ]);
    expect(Object.fromEntries(held.filter(([, digest]) => digest !== undefined))).toEqual(vector.held);
  });

  test.each(lists.filter(({ held }) => held))(
    '$name: the list written of what is held says the same',
    (vector) => {
      const map = new BlockMap();
      for (const [index, digest] of Object.entries(vector.held ?? {}))
        map.set(Number(index), Buffer.from(digest, 'hex'));
      const withoutTrailingZeros = (list: Buffer) => list.toString('hex').replace(/(0{64})+$/, '');
      expect(Buffer.concat([...map.pages(2)]).toString('hex')).toBe(
        withoutTrailingZeros(Buffer.concat(pagesOf(vector))),
      );
    },
  );
});

interface DigestVectors {
  hashes: { algorithm: DigestAlgorithm; text: string; hex: string }[];
  files: ({ name: string; size: number } & Record<DigestAlgorithm, { blocks: string[]; file: string }>)[];
}

describe('digests', () => {
  const { hashes, files } = vectors<DigestVectors>('digests');
  const pattern = Buffer.alloc(Math.max(...files.map(({ size }) => size)));
  for (let i = 0; i < pattern.length; i += 1) pattern[i] = i ^ (i >> 8) ^ (i >> 16) ^ 90;

  test.each(hashes)('$algorithm of $text', ({ algorithm, text, hex }) => {
    expect(blockDigest(algorithm, Buffer.from(text)).toString('hex')).toBe(hex);
  });

  describe.each(DIGEST_ALGORITHMS)('%s', (algorithm) => {
    test.each(files)('of $size bytes: $name', ({ size, [algorithm]: { blocks, file } }) => {
      const raw = Array.from({ length: blockCount(size) }, (_, index) =>
        blockDigest(
          algorithm,
          pattern.subarray(index * BLOCK_BYTES, Math.min((index + 1) * BLOCK_BYTES, size)),
        ),
      );
      expect(raw.map((digest) => formatBlockDigest(algorithm, digest))).toEqual(blocks);
      expect(fileDigest(algorithm, raw)).toBe(file);
    });
  });
});

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(`test/vectors/${name}.json`, 'utf8')) as T;
}
