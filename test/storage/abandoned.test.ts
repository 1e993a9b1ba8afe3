import { expect, test } from 'vitest';
import { abandonedUploads, DEFAULT_ABANDONED_UPLOAD_CAPS } from '../../src/storage/abandoned.ts';

const NOW_MS = 1_000_000_000_000;
const caps = { maxAgeMs: 1000, maxCountPerOwner: 3, maxBytesPerOwner: 100 };

/** Uploads as `key: [age in milliseconds, bytes]`. */
type Uploads = Record<string, [ageMs: number, bytes: number]>;

const CASES: { name: string; uploads: Uploads; running?: string[]; chosen: string[] }[] = [
  { name: 'nothing', uploads: {}, chosen: [] },
  { name: 'one that is as old as it may be', uploads: { 'a-1': [1000, 1] }, chosen: [] },
  { name: 'one that is too old', uploads: { 'a-1': [1001, 1] }, chosen: ['a-1'] },
  { name: 'one of the future', uploads: { 'a-1': [-5000, 1] }, chosen: [] },
  {
    name: 'those that are too old, the oldest first',
    uploads: { 'a-1': [2000, 1], 'b-1': [4000, 1], 'a-2': [3000, 1], 'b-2': [10, 1] },
    chosen: ['b-1', 'a-2', 'a-1'],
  },
  {
    name: 'as many as there may be',
    uploads: { 'a-1': [1, 1], 'a-2': [2, 1], 'a-3': [3, 1] },
    chosen: [],
  },
  {
    name: 'too many: the oldest go',
    uploads: { 'a-1': [1, 1], 'a-2': [5, 1], 'a-3': [3, 1], 'a-4': [4, 1], 'a-5': [2, 1] },
    chosen: ['a-2', 'a-4'],
  },
  {
    name: 'too many altogether, but not of one owner',
    uploads: { 'a-1': [1, 1], 'a-2': [2, 1], 'b-1': [3, 1], 'b-2': [4, 1] },
    chosen: [],
  },
  {
    name: 'an owner is not charged for one whose name begins alike',
    uploads: { 'a-1': [1, 60], 'ab-1': [2, 60], a: [3, 10] },
    chosen: [],
  },
  {
    name: 'what stands behind the first dash is no owner',
    uploads: { 'a-b-1': [1, 60], 'a-c-1': [2, 60] },
    chosen: ['a-c-1'],
  },
  { name: 'as many bytes as there may be', uploads: { 'a-1': [1, 40], 'a-2': [2, 60] }, chosen: [] },
  {
    name: 'too many bytes: the oldest go until the rest fits',
    uploads: { 'a-1': [1, 50], 'a-2': [4, 10], 'a-3': [3, 60] },
    chosen: ['a-2', 'a-3'],
  },
  { name: 'one that is too large by itself', uploads: { 'a-1': [1, 101] }, chosen: ['a-1'] },
  {
    name: 'what is too old no longer counts towards the rest',
    uploads: { 'a-1': [1, 1], 'a-2': [2, 1], 'a-3': [3, 1], 'a-4': [5000, 99] },
    chosen: ['a-4'],
  },
  {
    name: 'a running one stays, however old and large',
    uploads: { 'a-1': [9999, 1000] },
    running: ['a-1'],
    chosen: [],
  },
  {
    name: 'a running one counts: others of its owner go in its stead',
    uploads: { 'a-1': [5, 1], 'a-2': [4, 1], 'a-3': [3, 1], 'a-4': [2, 1] },
    running: ['a-1', 'a-2'],
    chosen: ['a-3'],
  },
  {
    name: 'running ones that fill the room of their owner leave none for others',
    uploads: { 'a-1': [5, 120], 'a-2': [4, 1], 'a-3': [3, 1], 'b-1': [2, 1] },
    running: ['a-1'],
    chosen: ['a-2', 'a-3'],
  },
  {
    name: 'of the same age, the one whose key comes first',
    uploads: { 'a-4': [2, 1], 'a-2': [2, 1], 'a-3': [2, 1], 'a-1': [2, 1] },
    chosen: ['a-1'],
  },
];

test.each(CASES)('$name', ({ uploads, running = [], chosen }) => {
  const listed = Object.entries(uploads).map(([key, [ageMs, bytes]]) => ({
    key,
    bytes,
    lastWrittenMs: NOW_MS - ageMs,
  }));
  const options = { running: new Set(running), nowMs: NOW_MS, caps };
  expect(abandonedUploads(listed, options)).toEqual(chosen);
  // In whatever order they are listed.
  expect(abandonedUploads(listed.toReversed(), options)).toEqual(chosen);
});

test('by default a week, a thousand uploads and 256 GiB are kept', () => {
  expect(DEFAULT_ABANDONED_UPLOAD_CAPS).toEqual({
    maxAgeMs: 604_800_000,
    maxCountPerOwner: 1000,
    maxBytesPerOwner: 274_877_906_944,
  });
});
