import { describe, expect, test } from 'vitest';
import { wireName, writeFields, type Shape } from '../../src/protocol/fields.ts';
import { BASES, CONDITIONS, CONTENT_ENCODINGS, DURABILITIES, REQUESTS } from '../../src/protocol/requests.ts';
import {
  BENCH_ANSWER,
  BLOCK_PART,
  DIGESTS_END,
  ENTRY_TYPES,
  FILE_ANSWER,
  GET_END,
  HELLO_ANSWER,
  LIST_ENTRY,
  PERMISSIONS,
  PING_ANSWER,
  readAnswer,
  readListEntry,
  readListing,
  readPath,
  RECEIPT,
  STAT_ANSWER,
  STATUSES,
  UPLOAD_ANSWER,
} from '../../src/protocol/responses.ts';
import { codeThrownBy, thrownBy } from '../thrown.ts';
import { FRAME_FIELDS } from './frames.ts';
import { literals, rowNames, specTables } from './spec.ts';

const block = `sha256:${'0a'.repeat(32)}`;
const file = `blake3-1m:${'0a'.repeat(32)}`;
const entry = { type: 'symlink', size: 3, 'mtime-ms': -1, mode: 0o777, etag: 'e', target: '../b' };

/** Every answer by its name in SPEC.md: its shape, one that is whole, and which of its fields may be missing. */
const answers: Record<string, { shape: Shape; whole: Record<string, unknown>; optional: string[] }> = {
  hello: {
    shape: HELLO_ANSWER,
    whole: {
      protocol: 1,
      agent: 'test/1',
      principal: 'ann',
      permissions: ['read'],
      digest: 'sha256',
      encodings: [],
      'time-ms': 0,
      'block-size': 1_048_576,
      'max-requests': 64,
      'idle-timeout-ms': 1,
      'time-grain-ms': 1,
      features: ['lock'],
      token: 't',
    },
    optional: ['time-grain-ms', 'token', 'certificate'],
  },
  ping: { shape: PING_ANSWER, whole: { 'time-ms': 1 }, optional: [] },
  bench: {
    shape: BENCH_ANSWER,
    whole: { port: 7_434, key: '0a'.repeat(32) },
    optional: ['port', 'key'],
  },
  receipt: {
    shape: RECEIPT,
    whole: { path: 'a', size: 0, digest: file, 'mtime-ms': 0, etag: 'e', durability: 'disk' },
    optional: [],
  },
  upload: { shape: UPLOAD_ANSWER, whole: { upload: 'u', base: 'none' }, optional: [] },
  file: {
    shape: FILE_ANSWER,
    whole: { size: 0, 'mtime-ms': 0, mode: 0o644, etag: 'e', digest: block },
    optional: ['digest'],
  },
  'block part': { shape: BLOCK_PART, whole: { index: 0, digest: block }, optional: [] },
  'get end': { shape: GET_END, whole: { digest: file }, optional: ['digest'] },
  'digests end': { shape: DIGESTS_END, whole: { size: 0, etag: 'e', digest: file }, optional: [] },
  stat: { shape: STAT_ANSWER, whole: { ...entry, digest: file }, optional: ['etag', 'target', 'digest'] },
  'list entry': {
    shape: LIST_ENTRY,
    whole: { path: 'a', ...entry, version: 'v' },
    optional: ['etag', 'target', 'version'],
  },
};

describe('SPEC.md', () => {
  const [, answerTable, fieldTable] = specTables('Actions');
  const [statusTable] = specTables('Conversation');

  test('lists every answer with its fields, and no other', () => {
    const listed = (answerTable ?? []).map(([name, fields]) => [name?.replaceAll('_', ''), literals(fields)]);
    const known = Object.entries(answers).map(([name, { shape, optional }]) => [
      name,
      Object.keys(shape).map((key) => `${wireName(key)}${optional.includes(wireName(key)) ? '?' : ''}`),
    ]);
    expect(listed).toEqual(known);
  });

  test('says what every field of a request or an answer holds, and of no other', () => {
    const shapes: Shape[] = [...Object.values(REQUESTS), ...Object.values(answers).map(({ shape }) => shape)];
    const fields = new Set(shapes.flatMap((shape) => Object.keys(shape).map(wireName)));
    expect(rowNames(fieldTable)).toEqual([...fields].sort());
  });

  test('lists every value of the fields that take one of a few', () => {
    expect(rowNames(statusTable)).toEqual(STATUSES);
    const meaning = (name: string) =>
      literals(fieldTable?.find(([field]) => literals(field)[0] === name)?.[1]);
    expect(meaning('permissions')).toEqual(PERMISSIONS);
    expect(meaning('type')).toEqual(ENTRY_TYPES);
    expect(meaning('base')).toEqual(BASES);
    expect(meaning('durability')).toEqual(DURABILITIES);
    expect(meaning('if')).toEqual([...CONDITIONS, 'etag']);
    const [frameFields] = specTables('Header');
    const encodings = frameFields?.find(([field]) => literals(field)[0] === 'content-encoding')?.[1];
    expect(literals(encodings)).toEqual(expect.arrayContaining([...CONTENT_ENCODINGS]));
  });
});

describe.each(Object.entries(answers))('the answer %s', (_, { shape, whole, optional }) => {
  const read = (fields: Record<string, unknown>) =>
    readAnswer(shape, { ...FRAME_FIELDS, id: 1, status: 'ok', ...fields });

  test('is read whole, and without what may be missing', () => {
    const byKey = (fields: Record<string, unknown>) =>
      Object.fromEntries(
        Object.keys(shape).flatMap((key) => (wireName(key) in fields ? [[key, fields[wireName(key)]]] : [])),
      );
    const least = Object.fromEntries(Object.entries(whole).filter(([name]) => !optional.includes(name)));
    expect(read({ ...whole, unknown: 'ignored' })).toEqual(byKey(whole));
    expect(read(least)).toEqual(byKey(least));
  });

  test.each(Object.keys(whole))(
    'breaks the protocol with a wrong %s, or without it if it is needed',
    (name) => {
      expect(codeThrownBy(() => read({ ...whole, [name]: { a: 1 } }))).toBe('protocol-violation');
      if (optional.includes(name)) return;
      expect(codeThrownBy(() => read({ ...whole, [name]: undefined }))).toBe('protocol-violation');
    },
  );
});

describe('what is refused of a server', () => {
  const wrong: [answer: keyof typeof answers, field: string, values: unknown[]][] = [
    ['hello', 'protocol', [0, '1']],
    ['hello', 'digest', ['md5', null]],
    ['hello', 'principal', ['x'.repeat(1_001), undefined]],
    ['hello', 'permissions', ['read', [1], ['x'.repeat(33)], Array(65).fill('read')]],
    ['hello', 'encodings', [['x'.repeat(33)], Array(65).fill('zstd')]],
    ['hello', 'features', [Array(257).fill('x'), ['x'.repeat(65)]]],
    ['hello', 'block-size', [0]],
    ['hello', 'max-requests', [0, -1, 0.5]],
    ['hello', 'idle-timeout-ms', [0]],
    ['hello', 'time-grain-ms', [0, 0.5, '1']],
    ['hello', 'agent', ['x'.repeat(1_001)]],
    ['hello', 'token', ['x'.repeat(513)]],
    ['receipt', 'path', ['../../.ssh/authorized_keys', '/etc/passwd', 'a\x1b[2J', 7]],
    ['receipt', 'size', [-1, 16 * 2 ** 40 + 1]],
    ['receipt', 'digest', [block, file.toUpperCase()]],
    ['receipt', 'durability', ['tape']],
    ['upload', 'upload', ['x'.repeat(129)]],
    ['upload', 'base', ['all']],
    ['file', 'digest', [file]],
    ['file', 'mode', [-1, 0o200000]],
    ['block part', 'index', [-1, 0.5]],
    ['stat', 'type', ['fifo']],
    ['stat', 'etag', ['x'.repeat(201)]],
    ['stat', 'mode', [-1, 0o200000]],
    ['stat', 'size', [-1]],
    ['list entry', 'path', ['..', 'a/../b']],
    ['list entry', 'target', ['x'.repeat(4_096)]],
  ];
  test.each(
    wrong.flatMap(([answer, field, values]) => values.map((value) => [answer, field, value] as const)),
  )('%s with %s %j', (answer, field, value) => {
    const { shape, whole } = answers[answer] as (typeof answers)[string];
    const error = thrownBy(() => readAnswer(shape, { ...whole, [field]: value }));
    expect(error.code).toBe('protocol-violation');
    expect(error.message).toContain(`The field ${field} `);
  });
});

describe('what is taken of a server', () => {
  const right: [answer: keyof typeof answers, field: string, values: unknown[]][] = [
    ['hello', 'protocol', [1, 2]],
    ['hello', 'principal', [null, 'x'.repeat(1_000)]],
    ['hello', 'permissions', [[], ['a permission of the future'], Array(64).fill('x'.repeat(32))]],
    ['hello', 'block-size', [1]],
    ['hello', 'max-requests', [1, Number.MAX_SAFE_INTEGER]],
    ['hello', 'time-ms', [Number.MIN_SAFE_INTEGER]],
    ['receipt', 'size', [16 * 2 ** 40]],
    ['file', 'mode', [0, 0o777]],
    ['stat', 'mode', [0, 0o777]],
    ['stat', 'size', [0, Number.MAX_SAFE_INTEGER]],
    ['list entry', 'target', ['', 'x'.repeat(4_095)]],
  ];
  test.each(
    right.flatMap(([answer, field, values]) => values.map((value) => [answer, field, value] as const)),
  )('%s with %s %j', (answer, field, value) => {
    const { shape, whole } = answers[answer] as (typeof answers)[string];
    expect(writeFields(readAnswer(shape, { ...whole, [field]: value }))).toHaveProperty([field], value);
  });
});

test.each(['file', 'stat', 'list entry'] as const)(
  'of a mode in the answer %s only the permission bits count',
  (answer) => {
    const { shape, whole } = answers[answer] as (typeof answers)[string];
    for (const mode of [0o100644, 0o7644, 0o177644])
      expect(readAnswer(shape, { ...whole, mode })).toHaveProperty('mode', 0o644);
  },
);

test('an error that is no fault of the server comes through as it is', () => {
  const mistake = new TypeError('a mistake in a shape');
  const broken = () => {
    throw mistake;
  };
  expect(() => readAnswer({ path: broken }, { path: 'a' })).toThrow(mistake);
});

describe('a page of a listing', () => {
  const read = (content: string | Uint8Array) => readListing(Buffer.from(content), 'result', readPath);

  test.each([
    ['', []],
    ['{"result":[]}', []],
    ['{"result":["a","b/c"],"unknown":1}', ['a', 'b/c']],
  ])('%s is read', (content, paths) => expect(read(content)).toEqual(paths));

  test.each([
    '{',
    'null',
    '"result"',
    '[]',
    '{}',
    '{"result":null}',
    '{"result":{"length":1}}',
    '{"entries":["a"]}',
    '{"__proto__":{"result":["a"]}}',
  ])('%s breaks the protocol', (content) =>
    expect(codeThrownBy(() => read(content))).toBe('protocol-violation'),
  );

  test.each(['[7]', '[null]', '["../a"]', '["/a"]', '["a\\u001b"]', '["\\ud800"]'])(
    'a result of %s breaks the protocol',
    (items) => {
      expect(codeThrownBy(() => read(`{"result":${items}}`))).toBe('protocol-violation');
    },
  );

  test.each([
    ['invalid UTF-8', '{"result":["\xff"]}', TypeError],
    ['half of a page', '{"result":["a"', SyntaxError],
  ])('%s breaks the protocol, and the cause is kept', (_, text, cause) => {
    const error = thrownBy(() => read(Buffer.from(text, 'latin1')));
    expect(error).toMatchObject({ code: 'protocol-violation', cause: expect.any(cause) });
  });

  test('as deeply nested as a content can be, it breaks the protocol and nothing else', () => {
    const deep = '['.repeat(400_000) + ']'.repeat(400_000);
    expect(codeThrownBy(() => read(deep))).toBe('protocol-violation');
    expect(codeThrownBy(() => read(`{"result":[${deep}]}`))).toBe('protocol-violation');
  });

  test('its entries are checked each', () => {
    const list = (item: unknown) =>
      readListing(Buffer.from(JSON.stringify({ entries: [item] })), 'entries', readListEntry);
    const { whole } = answers['list entry'] as (typeof answers)[string];
    const { 'mtime-ms': mtimeMs, ...rest } = whole;
    expect(list({ ...whole, unknown: 1 })).toEqual([{ ...rest, mtimeMs }]);
    for (const item of [null, 7, 'a', [], {}, { ...whole, path: '../a' }]) {
      expect(codeThrownBy(() => list(item))).toBe('protocol-violation');
    }
  });
});
