import { blockDigestOf } from '../raw-files.ts';
import type { Random } from '../../../src/random.ts';
import { LENGTH_BYTES } from '../../../src/protocol/limits.ts';
import { pathsContent } from '../../../src/protocol/requests.ts';
import { between, pick } from '../seeded.ts';

/** A message in its parts, so that each can be changed. */
export interface Parcel {
  header: Readonly<Record<string, unknown>>;
  content: Buffer;
}

/** The chance that something happens. */
export function chance(random: Random, probability: number): boolean {
  return random.fraction() < probability;
}

/** The bytes of a message of which perhaps something is wrong. `others`: from whose headers parts may be taken. */
export function mutated(parcel: Parcel, others: readonly Parcel[], random: Random): Buffer {
  let changed = parcel;
  const changes = pick(random, [0, 1, 1, 1, 2, 3]);
  for (let count = 0; count < changes; count += 1)
    changed = pick(random, PARCEL_CHANGES)(changed, others, random);
  let text = JSON.stringify({ 'content-length': changed.content.length, ...changed.header });
  if (chance(random, 0.04)) text = pick(random, TEXT_CHANGES)(text, random);
  const bytes = framed(Buffer.from(text), changed.content);
  return chance(random, 0.04) ? damaged(bytes, random) : bytes;
}

/** The same bytes, some of which were changed, left out, doubled or put in. */
export function damaged(bytes: Buffer, random: Random): Buffer {
  let changed = bytes;
  const changes = between(random, 1, 3);
  for (let count = 0; count < changes; count += 1) changed = pick(random, BYTE_CHANGES)(changed, random);
  return changed;
}

/** Values that a field may not be ready for. */
const ODD_VALUES: readonly unknown[] = [
  0,
  1,
  -1,
  0.5,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  -(2 ** 53),
  1e300,
  1_048_576,
  1_048_577,
  1_073_741_824,
  '',
  'x',
  '0',
  'ok',
  'x'.repeat(4_000),
  '\0',
  '\ud800',
  '\u202e',
  '../x',
  '%2e%2e',
  null,
  true,
  false,
  [],
  {},
  [null],
  [['a'], 'b'],
  { a: { b: {} } },
  ['sha256', 'blake3'],
  'zstd',
  'gzip',
  'binary',
  'utf-8',
];
/** Places where nobody has any business. */
const ODD_PATHS: readonly string[] = [
  '',
  '.',
  '..',
  '../outside/file',
  'mine/../theirs/file',
  '/etc/passwd',
  'mine//file',
  'mine/',
  'theirs/file',
  'theirs',
  'mine/out',
  'mine/out/file',
  'mine/linked',
  'mine/file/below',
  'mine-not',
  'mine-not/file',
  'mine-not/new',
  '.sealift',
  '.sealift/uploads',
  '.SEALIFT/users.toml',
  'mine/.sealift-0000000000000000.part',
  'mine/\u0000',
  'mine/\\..\\x',
  `mine/${'é'.repeat(127)}`,
  'n'.repeat(256),
  'd/'.repeat(2_000) + 'x',
];
const ACTIONS = (
  'hello ping echo put block commit abort get digests file-digests stat list search set mkdir symlink remove move sync lock ' +
  'unlock cancel bench nothing'
).split(' ');
const PATH_FIELDS = ['path', 'to', 'target', 'query', 'name'];

/** A well-formed request for what nobody expects. */
export function oddRequest(random: Random): Parcel {
  const [path, to] = [pick(random, ODD_PATHS), pick(random, ODD_PATHS)];
  const action = pick(random, ACTIONS);
  const noise = chance(random, 0.3) ? random.bytes(between(random, 0, 20)) : Buffer.alloc(0);
  const content = action === 'file-digests' && chance(random, 0.8) ? pathsContent([path, to]) : noise;
  const isInline = chance(random, 0.5);
  const fields = {
    action,
    path,
    to,
    target: to,
    query: pick(random, ['', '*', '**/*', 'SECRET', 'mine', '[']),
    recursive: chance(random, 0.5),
    name: 'lock',
    'ttl-ms': 1,
    'mtime-ms': 1,
    mode: 0o7777,
    size: isInline ? content.length : null,
    ...(isInline ? { digest: blockDigestOf(content) } : {}),
  };
  return { header: { ...FRAME_FIELDS, ...fields }, content };
}

const FRAME_FIELDS = {
  byteorder: 'little',
  'content-type': 'application/octet-stream',
  'content-encoding': 'binary',
};

type ParcelChange = (parcel: Parcel, others: readonly Parcel[], random: Random) => Parcel;

const PARCEL_CHANGES: readonly ParcelChange[] = [
  (parcel, _, random) => withField(parcel, fieldOf(parcel, random), pick(random, ODD_VALUES)),
  (parcel, _, random) => withField(parcel, fieldOf(parcel, random), undefined),
  (parcel, others, random) => {
    const other = pick(random, others);
    const field = fieldOf(other, random);
    return withField(parcel, field, other.header[field]);
  },
  (parcel, others, random) => ({
    ...parcel,
    header: { ...pick(random, others).header, id: parcel.header['id'] },
  }),
  (parcel, others, random) => ({ ...parcel, content: pick(random, others).content }),
  (parcel, _, random) => withField(parcel, 'action', pick(random, ACTIONS)),
  (parcel, _, random) => withField(parcel, pick(random, PATH_FIELDS), pick(random, ODD_PATHS)),
  (parcel, _, random) => withField(parcel, 'path', pick(random, ODD_PATHS)),
  (parcel, _, random) => withField(parcel, 'content-length', between(random, 0, parcel.content.length + 2)),
  (parcel, _, random) => ({ ...parcel, content: damaged(parcel.content, random) }),
  // As long, but another.
  (parcel, _, random) => ({ ...parcel, content: flipped(parcel.content, random) }),
  (parcel, _, random) => ({ ...parcel, content: flipped(parcel.content, random) }),
  // Another content, but sound.
  (parcel, _, random) => {
    const content = damaged(parcel.content, random);
    const header = { ...parcel.header, digest: blockDigestOf(content), size: content.length };
    return { header, content };
  },
  (parcel, _, random) => withField(parcel, 'id', between(random, 1, 4)),
  (parcel, _, random) => withField(parcel, 'index', between(random, 0, 4)),
];

const TEXT_CHANGES: readonly ((text: string, random: Random) => string)[] = [
  (text) => text.replace('{', '{"__proto__":{"path":"x"},'),
  (text) => text.replace('{', '{"constructor":1,'),
  (text) => text.replace('{', `{"deep":${'['.repeat(5_000)}${']'.repeat(5_000)},`),
  (text) => text.replace('{', `{${Array.from({ length: 70 }, (_, index) => `"f${index}":0,`).join('')}`),
  (text) => text.replace(/:(\d+)/, ':1e400'),
  (text) => text.replace(/:(\d+)/, ':-0'),
  (text) => text.replace(/:"[^"]*"/, ':"\\ud800"'),
  (text) => text.replace(/"id":\d+/, '"id":1,"id":2'),
  (text) => `[${text}]`,
  (text) => `\ufeff${text}`,
  (text) => text + ' '.repeat(9_000),
  (text, random) => text.slice(0, between(random, 0, text.length)),
];

const BYTE_CHANGES: readonly ((bytes: Buffer, random: Random) => Buffer)[] = [
  flipped,
  (bytes, random) => bytes.subarray(0, between(random, 0, bytes.length)),
  (bytes, random) => bytes.subarray(between(random, 0, Math.min(bytes.length, 200))),
  (bytes, random) => {
    const place = between(random, 0, bytes.length);
    return Buffer.concat([
      bytes.subarray(0, place),
      random.bytes(between(random, 1, 20)),
      bytes.subarray(place),
    ]);
  },
  (bytes, random) => {
    const place = between(random, 0, Math.min(bytes.length, 400));
    return Buffer.concat([bytes.subarray(0, place), bytes.subarray(Math.floor(place / 2))]);
  },
  (bytes, random) => {
    const changed = Buffer.from(bytes);
    if (bytes.length >= LENGTH_BYTES) changed.writeUInt16BE(between(random, 0, 65_535));
    return changed;
  },
];

/** The same bytes but for one bit. */
export function flipped(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0) return bytes;
  const changed = Buffer.from(bytes);
  const place = between(random, 0, bytes.length - 1);
  changed[place] = (changed[place] ?? 0) ^ (1 << between(random, 0, 7));
  return changed;
}

function fieldOf({ header }: Parcel, random: Random): string {
  return pick(random, [
    ...Object.keys(header),
    ...PATH_FIELDS,
    'decoded-length',
    'etag',
    'if',
    'base',
    'resume-key',
  ]);
}

function withField(parcel: Parcel, field: string, value: unknown): Parcel {
  return { ...parcel, header: { ...parcel.header, [field]: value } };
}

function framed(header: Buffer, content: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16BE(Math.min(header.length, 65_535));
  return Buffer.concat([length, header, content]);
}
