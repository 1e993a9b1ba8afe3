import fc from 'fast-check';

import { BLOCK_BYTES } from '../../src/transfer/blocks.ts';
import { blocksOf, bytesOf } from '../support/raw-upload.ts';

/** Who acts: two connections of a principal who may do everything, and one of a principal who may add, below `b`, within a quota. */
export const CLIENTS = ['alice 1', 'alice 2', 'bob'] as const;
export type ClientName = (typeof CLIENTS)[number];

/** Files by their length and then by their variant; what is unknown is sent without a size in the `put`. */
export const FILES = {
  small: [bytesOf(5, 1), bytesOf(5, 2)],
  large: [bytesOf(BLOCK_BYTES + 7, 1), bytesOf(BLOCK_BYTES + 7, 2)],
} as const;
const LENGTHS = ['small', 'large'] as const;
type Length = (typeof LENGTHS)[number];
const BLOCK_OF_NOTHING = Buffer.from('beyond');

export interface Condition {
  if: 'any' | 'absent' | 'match';
  /** Whether the etag of a match is that of what stands. */
  isRight: boolean;
}

export type Act =
  | { type: 'put'; path: string; content: number; condition: Condition; mode?: number; durability: string }
  | {
      type: 'begin';
      path: string;
      length: Length;
      isSizeKnown: boolean;
      key: number | undefined;
      base: 'none' | 'partial' | 'existing';
      condition: Condition;
    }
  /** `upload` counts from the one begun last; `isOwn`: whoever it belongs to asks. */
  | { type: 'block'; upload: number; isOwn: boolean; index: number; variant: number; isRight: boolean }
  /** All blocks, one after the other. */
  | { type: 'blocks'; upload: number; isOwn: boolean; variant: number }
  | { type: 'commit'; upload: number; isOwn: boolean; variant: number }
  | { type: 'abort'; upload: number; isOwn: boolean }
  | { type: 'get' | 'stat'; path: string }
  | { type: 'mkdir'; path: string; mode?: number }
  | { type: 'symlink'; path: string; condition: Condition }
  | { type: 'set'; path: string; mtimeMs: number }
  | { type: 'remove'; path: string; recursive: boolean }
  | { type: 'move'; path: string; to: string; condition: Condition }
  | { type: 'sync' }
  | { type: 'lock'; name: string; holder: number | undefined; ttlMs: number }
  | { type: 'unlock'; name: string; holder: number | undefined }
  | { type: 'disconnect' }
  | { type: 'restart' }
  /** Minutes end leases; a week and a day all that was given up. */
  | { type: 'pass'; time: 'minutes' | 'days' };

/** What a client does, or what happens to all. */
export const anyAct: fc.Arbitrary<{ by: ClientName; act: Act }> = fc.record({
  by: fc.constantFrom(...CLIENTS),
  act: fc.oneof(...weighted()),
});

export function ownerOf(client: ClientName): string {
  return client.split(' ', 1)[0] ?? client;
}

/** The bytes of a block as an act sends it. */
export function blockOf(
  { length }: { length: Length },
  { index, variant }: { index: number; variant: number },
): Buffer {
  return blocksOf(FILES[length][variant] as Buffer)[index] ?? BLOCK_OF_NOTHING;
}

/** The file that a commit says it is. */
export function contentOf({ length }: { length: Length }, { variant }: { variant: number }): Buffer {
  return FILES[length][variant] as Buffer;
}

/** What is resumed: for each way to send a file another. */
export function keyOf({ key, length, isSizeKnown }: Extract<Act, { type: 'begin' }>): string {
  return `${key}${length === 'small' ? 'a' : 'b'}${isSizeKnown ? 'c' : 'd'}`.padStart(32, '0');
}

function weighted(): fc.WeightedArbitrary<Act>[] {
  const path = fc.constantFrom('a', 'b', 'a/a', 'b/a', 'b/b', 'b/a/a');
  const condition = fc.record<Condition>({
    if: fc.constantFrom('any', 'any', 'absent', 'match'),
    isRight: fc.boolean(),
  });
  const upload = { upload: fc.constantFrom(0, 0, 0, 1, 2), isOwn: fc.constantFrom(true, true, true, false) };
  const variant = fc.constantFrom(0, 0, 0, 1);
  const lease = { name: fc.constantFrom('x', 'y'), holder: fc.option(fc.nat(1), { nil: undefined }) };
  const mode = { mode: fc.constantFrom(0o600, 0o755) };
  const of = <T extends Act['type'], R>(type: T, rest: R) => ({ type: fc.constant(type), ...rest });
  return [
    {
      weight: 6,
      arbitrary: fc.record(
        of('put', {
          path,
          content: fc.nat(1),
          condition,
          ...mode,
          durability: fc.constantFrom('disk', 'memory'),
        }),
        { requiredKeys: ['type', 'path', 'content', 'condition', 'durability'] },
      ),
    },
    {
      weight: 10,
      arbitrary: fc.record(
        of('begin', {
          path,
          length: fc.constantFrom(...LENGTHS),
          isSizeKnown: fc.constantFrom(true, true, false),
          key: fc.constantFrom(0, 0, 1, undefined),
          base: fc.constantFrom<'none' | 'partial' | 'existing'>('partial', 'partial', 'none', 'existing'),
          condition,
        }),
      ),
    },
    {
      weight: 6,
      arbitrary: fc.record(
        of('block', { ...upload, index: fc.nat(1), variant, isRight: fc.constantFrom(true, true, false) }),
      ),
    },
    { weight: 12, arbitrary: fc.record(of('blocks', { ...upload, variant })) },
    { weight: 14, arbitrary: fc.record(of('commit', { ...upload, variant })) },
    { weight: 1, arbitrary: fc.record(of('abort', upload)) },
    { weight: 1, arbitrary: fc.record(of('get', { path })) },
    { weight: 1, arbitrary: fc.record(of('stat', { path })) },
    {
      weight: 2,
      arbitrary: fc.record(of('mkdir', { path, ...mode }), { requiredKeys: ['type', 'path'] }),
    },
    { weight: 1, arbitrary: fc.record(of('symlink', { path, condition })) },
    { weight: 1, arbitrary: fc.record(of('set', { path, mtimeMs: fc.constantFrom(1_000, 2_000) })) },
    { weight: 3, arbitrary: fc.record(of('remove', { path, recursive: fc.boolean() })) },
    { weight: 3, arbitrary: fc.record(of('move', { path, to: path, condition })) },
    { weight: 1, arbitrary: fc.record(of('sync', {})) },
    {
      weight: 2,
      arbitrary: fc.record(of('lock', { ...lease, ttlMs: fc.constantFrom(60_000, 3_600_000) })),
    },
    { weight: 1, arbitrary: fc.record(of('unlock', lease)) },
    { weight: 2, arbitrary: fc.record(of('disconnect', {})) },
    { weight: 1, arbitrary: fc.record(of('restart', {})) },
    {
      weight: 2,
      arbitrary: fc.record(
        of('pass', { time: fc.constantFrom<'minutes' | 'days'>('minutes', 'minutes', 'days') }),
      ),
    },
  ];
}
