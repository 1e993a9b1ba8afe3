import { describe, expect, test } from 'vitest';
import type { Header } from '../../src/protocol/header.ts';
import {
  isAction,
  parseRequest,
  requestHeader,
  requestId,
  REQUESTS,
  type Action,
  type RequestFields,
} from '../../src/protocol/requests.ts';
import { wireName } from '../../src/protocol/fields.ts';
import { codeThrownBy, thrownBy } from '../thrown.ts';
import { FRAME_FIELDS } from './frames.ts';
import { literals, rowNames, specTables } from './spec.ts';

const sha256 = `sha256:${'0a'.repeat(32)}`;
const blake3 = `blake3:${'f9'.repeat(32)}`;
const fileSha256 = `sha256-1m:${'0a'.repeat(32)}`;
const fileBlake3 = `blake3-1m:${'f9'.repeat(32)}`;

/** For every action, what it needs, and what it may have besides. */
const examples: { [A in Action]: { needs: Record<string, unknown>; may?: Record<string, unknown> } } = {
  hello: {
    needs: { protocol: 1, agent: 'test/1' },
    may: { token: 't', join: 'j', 'certificate-request': 'PEM', digest: 'blake3', encodings: ['zstd'] },
  },
  ping: { needs: {} },
  echo: { needs: {} },
  put: {
    needs: { path: 'a/b', size: null },
    may: {
      'mtime-ms': -1,
      mode: 0o644,
      'resume-key': '0123456789abcdef0123456789abcdef',
      base: 'existing',
      durability: 'memory',
      if: 'match',
      etag: 'e',
      digest: sha256,
    },
  },
  block: { needs: { upload: 'aZ0_-', index: 0, digest: blake3 } },
  commit: { needs: { upload: 'u', size: 0, digest: fileBlake3 } },
  abort: { needs: { upload: 'u' } },
  get: { needs: { path: 'a' }, may: { 'from-block': 1, 'block-count': 0, 'if-match': 'e', version: 'v' } },
  digests: { needs: { path: 'a' }, may: { version: 'v', remembered: true } },
  'file-digests': { needs: {} },
  stat: { needs: { path: '' }, may: { digest: true } },
  list: { needs: { path: '' }, may: { recursive: true, versions: false } },
  search: { needs: { query: '*.txt' } },
  set: { needs: { path: 'a' }, may: { 'mtime-ms': 0, mode: 0 } },
  mkdir: { needs: { path: 'a' }, may: { 'mtime-ms': 0, mode: 0o755 } },
  symlink: { needs: { path: 'a', target: '../b' }, may: { if: 'absent', etag: 'e' } },
  remove: { needs: { path: 'a' }, may: { recursive: true } },
  move: { needs: { path: 'a', to: 'b' }, may: { if: 'any', etag: 'e' } },
  sync: { needs: {} },
  bench: { needs: {}, may: { plain: true } },
  lock: {
    needs: { name: 'nightly', 'ttl-ms': 60_000 },
    may: { holder: '0123456789abcdef0123456789abcdef' },
  },
  unlock: { needs: { name: 'nightly' }, may: { holder: '0123456789abcdef0123456789abcdef' } },
  cancel: { needs: { target: 1 } },
};
const actions = Object.keys(examples) as Action[];

function header(fields: Record<string, unknown>): Header {
  return { ...FRAME_FIELDS, ...fields };
}

/** What is read from a request for `action` with all that it needs, and with `fields`. */
function parse(action: Action, fields: Record<string, unknown> = {}) {
  return parseRequest(header({ action, id: 1, ...examples[action].needs, ...fields }));
}

describe('SPEC.md', () => {
  const [table] = specTables('Actions');

  test('lists every action, and no other', () => {
    expect(rowNames(table)).toEqual(Object.keys(REQUESTS));
  });

  test.each(table ?? [])('%s has there the fields that it has here: %s', (name, fields) => {
    const shape = REQUESTS[literals(name)[0] as Action];
    const here = Object.entries(shape).map(
      ([key, field]) => `${wireName(key)}${mayBeMissing(field) ? '?' : ''}`,
    );
    expect(literals(fields)).toEqual(here);
  });
});

describe.each(actions)('%s', (action) => {
  const { needs, may = {} } = examples[action];

  test('is understood with what it needs, and with all that it may have', () => {
    for (const fields of [needs, { ...needs, ...may }]) {
      const request = parseRequest(header({ action, id: 7, ...fields, unknown: 'ignored' }));
      expect(request).toMatchObject({ action, id: 7 });
      expect(requestHeader(action, 7, request.fields as RequestFields<Action>)).toEqual({
        action,
        id: 7,
        ...fields,
      });
    }
  });

  test('may have all that its example has, and the example all that it may have', () => {
    expect(Object.keys({ ...needs, ...may }).sort()).toEqual(
      Object.keys(REQUESTS[action]).map(wireName).sort(),
    );
  });

  test.each(Object.keys(needs))('needs %s', (name) => {
    expect(codeThrownBy(() => parse(action, { [name]: undefined }))).toBe('bad-request');
  });

  test.each(Object.keys({ ...needs, ...may }))('has a wrong value in %s refused', (name) => {
    for (const value of [[{}], { a: 1 }])
      expect(codeThrownBy(() => parse(action, { [name]: value }))).toBe('bad-request');
  });
});

const longName = 'n'.repeat(256);
const refused: [action: Action, field: string, code: string, values: unknown[]][] = [
  ['hello', 'protocol', 'bad-request', [-1, 1.5, '1', null]],
  ['hello', 'agent', 'bad-request', ['x'.repeat(201), null]],
  ['hello', 'token', 'bad-request', ['x'.repeat(513), null]],
  ['hello', 'join', 'bad-request', ['x'.repeat(513)]],
  ['hello', 'certificate-request', 'bad-request', ['x'.repeat(8_193), null]],
  ['hello', 'digest', 'bad-request', ['md5', 'SHA256', true]],
  ['hello', 'encodings', 'bad-request', ['zstd', [1], ['x'.repeat(33)], Array(17).fill('zstd')]],
  [
    'put',
    'path',
    'bad-name',
    [
      '',
      '/a',
      'a/',
      'a//b',
      '..',
      'a/../b',
      '.',
      'a\0',
      'a\x7f',
      'a\x9b',
      longName,
      'a/'.repeat(2_500) + 'a',
    ],
  ],
  ['put', 'path', 'bad-request', [1, null, ['a']]],
  ['put', 'size', 'bad-request', [-1, 0.5, '0', 2 ** 53, true]],
  ['put', 'size', 'too-large', [16 * 2 ** 40 + 1, Number.MAX_SAFE_INTEGER]],
  ['put', 'mtime-ms', 'bad-request', [0.5, 8_640_000_000_000_001, -8_640_000_000_000_001, '0', null]],
  ['put', 'mode', 'bad-request', [-1, 0o200000, 0.5, '644']],
  ['put', 'resume-key', 'bad-request', ['0'.repeat(31), '0'.repeat(33), 'g'.repeat(32)]],
  ['put', 'base', 'bad-request', ['all', null]],
  ['put', 'durability', 'bad-request', ['tape']],
  ['put', 'if', 'bad-request', ['present', true]],
  ['put', 'etag', 'bad-request', ['x'.repeat(201), 1]],
  [
    'put',
    'digest',
    'bad-request',
    ['', sha256.slice(1), `${sha256}0`, sha256.toUpperCase(), fileSha256, `md5:${'0'.repeat(32)}`],
  ],
  ['block', 'upload', 'unknown-upload', ['', 'not an id', '../../etc/passwd', 'ü', 'x'.repeat(129), 'a\n']],
  ['block', 'upload', 'bad-request', [1, null]],
  ['block', 'index', 'bad-request', [-1, 2 ** 24, 0.5, '0', null]],
  ['block', 'digest', 'bad-request', [fileBlake3, 'x']],
  ['commit', 'upload', 'unknown-upload', ['no such thing']],
  ['commit', 'size', 'bad-request', [null, -1]],
  ['commit', 'size', 'too-large', [16 * 2 ** 40 + 1]],
  ['commit', 'digest', 'bad-request', [sha256, `sha512-1m:${'0'.repeat(64)}`]],
  ['abort', 'upload', 'unknown-upload', ['no such thing']],
  ['get', 'path', 'bad-name', ['', '../a']],
  ['get', 'from-block', 'bad-request', [-1, 2 ** 24]],
  ['get', 'block-count', 'bad-request', [-1, 0.5]],
  ['get', 'if-match', 'bad-request', ['x'.repeat(201)]],
  ['get', 'version', 'bad-request', ['x'.repeat(129)]],
  ['digests', 'path', 'bad-name', ['']],
  ['digests', 'version', 'bad-request', ['x'.repeat(129), 1]],
  ['digests', 'remembered', 'bad-request', [1, 'true', null]],
  ['stat', 'path', 'bad-name', ['/', '.']],
  ['stat', 'digest', 'bad-request', ['sha256', 1]],
  ['list', 'path', 'bad-name', ['/', './']],
  ['list', 'recursive', 'bad-request', [1, 'true']],
  ['search', 'query', 'bad-request', ['x'.repeat(1_025)]],
  ['set', 'path', 'bad-name', ['']],
  ['mkdir', 'path', 'bad-name', ['']],
  ['symlink', 'path', 'bad-name', ['']],
  ['symlink', 'target', 'bad-request', ['', 'a\0b', 'x'.repeat(4_096), 'é'.repeat(2_048), 1]],
  ['remove', 'path', 'bad-name', ['', '..']],
  ['move', 'path', 'bad-name', ['']],
  ['move', 'to', 'bad-name', ['', 'a/./b']],
  ['lock', 'name', 'bad-request', ['', 'x'.repeat(201), 'a b', 'a\n', 'ü']],
  ['lock', 'ttl-ms', 'bad-request', [0, -1, 86_400_001]],
  ['lock', 'holder', 'bad-request', ['', '0'.repeat(31), '0'.repeat(33), 'A'.repeat(32), null]],
  ['unlock', 'name', 'bad-request', ['']],
  ['unlock', 'holder', 'bad-request', ['g'.repeat(32)]],
  ['cancel', 'target', 'bad-request', [0, -1, '1']],
];

test.each(
  refused.flatMap(([action, field, code, values]) =>
    values.map((value) => [action, field, value, code] as const),
  ),
)('%s with %s %j is %s', (action, field, value, code) =>
  expect(codeThrownBy(() => parse(action, { [field]: value }))).toBe(code),
);

const taken: [action: Action, field: string, values: unknown[]][] = [
  ['hello', 'protocol', [0, 2]],
  ['hello', 'agent', ['', 'x'.repeat(200)]],
  ['hello', 'token', ['x'.repeat(512)]],
  ['hello', 'encodings', [[], Array(16).fill('x'.repeat(32))]],
  ['put', 'path', ['n'.repeat(255), '~', '%2e%2e', '...', 'a b', 'C:\\x', '日本']],
  ['put', 'size', [0, 16 * 2 ** 40, null]],
  ['put', 'mtime-ms', [8_640_000_000_000_000, -8_640_000_000_000_000]],
  ['put', 'etag', ['x'.repeat(200)]],
  ['put', 'digest', [blake3]],
  ['block', 'upload', ['x'.repeat(128)]],
  ['block', 'index', [2 ** 24 - 1]],
  ['commit', 'size', [16 * 2 ** 40]],
  ['commit', 'digest', [fileSha256]],
  ['search', 'query', ['', 'x'.repeat(1_024)]],
  ['symlink', 'target', ['/etc/passwd', 'x'.repeat(4_095), `${'é'.repeat(2_047)}e`, 'a\nb']],
  ['lock', 'name', ['x'.repeat(200), '!~']],
  ['lock', 'ttl-ms', [1, 86_400_000]],
];

test.each(taken.flatMap(([action, field, values]) => values.map((value) => [action, field, value] as const)))(
  '%s with %s %j is taken as it is',
  (action, field, value) => {
    const key = Object.keys(REQUESTS[action]).find((candidate) => wireName(candidate) === field) as string;
    expect(parse(action, { [field]: value }).fields).toHaveProperty(key, value);
  },
);

test.each([
  [0o7777, 0o777],
  [0o100644, 0o644],
  [0o4755, 0o755],
  [0o2770, 0o770],
  [0o1777, 0o777],
])('of the mode %i only the permission bits are kept', (mode, kept) => {
  for (const action of ['put', 'set', 'mkdir'] as const)
    expect(parse(action, { mode }).fields).toMatchObject({ mode: kept });
});

describe('the action', () => {
  test.each([undefined, null, 7, true, ['ping'], {}])('%j names none', (action) => {
    expect(codeThrownBy(() => parseRequest(header({ action, id: 1 })))).toBe('bad-request');
  });

  test.each(['', 'PING', 'ping ', 'toString', 'constructor', '__proto__', 'x'.repeat(9_000)])(
    '%j is unsupported',
    (action) => {
      expect(isAction(action)).toBe(false);
      const error = thrownBy(() => parseRequest(header({ action, id: 1 })));
      expect(error.code).toBe('unsupported');
      expect(error.message).toContain(`"${action.slice(0, 60)}`);
      expect(error.message.length).toBeLessThan(200);
    },
  );

  test.each(actions)('%s is one', (action) => expect(isAction(action)).toBe(true));
});

describe('the id', () => {
  const wrong = [0, -1, 1.5, '1', null, true, 2 ** 53, [1]];

  test.each(wrong.map((id) => [id]))('%j is none', (id) => {
    expect(requestId(header({ id }))).toBeUndefined();
    expect(codeThrownBy(() => parse('ping', { id }))).toBe('bad-request');
    expect(codeThrownBy(() => parse('block', { id }))).toBe('bad-request');
  });

  test.each([1, Number.MAX_SAFE_INTEGER])('%j is one, whatever else the header holds', (id) => {
    expect(requestId(header({ id, action: 7 }))).toBe(id);
    expect(parse('ping', { id }).id).toBe(id);
  });

  test('only a block may lack it', () => {
    for (const action of actions) {
      const withoutId = () => parse(action, { id: undefined });
      if (action === 'block') expect(withoutId().id).toBeUndefined();
      else expect(codeThrownBy(withoutId)).toBe('bad-request');
    }
    expect(requestId(header({}))).toBeUndefined();
  });
});

test('an error names the field that is wrong', () => {
  expect(thrownBy(() => parse('put', { 'mtime-ms': 'x' })).message).toContain('The field mtime-ms ');
  expect(thrownBy(() => parse('put', { path: 'a/../b' })).message).toContain('"a/../b"');
});

function mayBeMissing(field: (value: unknown) => unknown): boolean {
  try {
    field(undefined);
    return true;
  } catch {
    return false;
  }
}
