import { describe, expect, test } from 'vitest';
import type { ReplaceOptions, Store } from '../../../src/storage/store.ts';
import type { Subject } from '../store.ts';
import {
  ABSENT,
  ANY,
  failureOf,
  KEY,
  publication,
  putText,
  record,
  textOf,
  uploadOf,
  uploadOptions,
  uploadKeys,
} from './samples.ts';

/** Everything that gives a name to something, under a condition. */
const NAMINGS: Record<string, (store: Store, path: string, options: ReplaceOptions) => Promise<unknown>> = {
  put: (store, path, options) => putText(store, path, 'new', options),
  upload: async (store, path, options) => {
    const upload = await uploadOf(store, uploadOptions(path), { 0: Buffer.from('new') });
    return upload.publish(publication(path, options), 3, record(path, 3));
  },
  symlink: (store, path, options) => store.symlink(path, 'new', options),
  move: async (store, path, options) => {
    await putText(store, 'source', 'new');
    await store.move('source', path, options);
  },
};

/** What is demanded, and what comes of it where nothing stands and where something does. */
const CASES: {
  condition: 'any' | 'absent' | 'match' | 'match another';
  mayReplace: boolean;
  nothing: string;
  something: string;
}[] = [
  { condition: 'any', mayReplace: true, nothing: 'done', something: 'done' },
  { condition: 'any', mayReplace: false, nothing: 'done', something: 'forbidden' },
  { condition: 'absent', mayReplace: true, nothing: 'done', something: 'exists' },
  { condition: 'absent', mayReplace: false, nothing: 'done', something: 'exists' },
  { condition: 'match', mayReplace: true, nothing: 'precondition-failed', something: 'done' },
  { condition: 'match', mayReplace: false, nothing: 'precondition-failed', something: 'forbidden' },
  {
    condition: 'match another',
    mayReplace: true,
    nothing: 'precondition-failed',
    something: 'precondition-failed',
  },
  {
    condition: 'match another',
    mayReplace: false,
    nothing: 'precondition-failed',
    something: 'precondition-failed',
  },
];

/** `condition` and `mayReplace`, judged in one step with the change. */
export function conditionsContract(subject: Subject): void {
  describe.each(Object.entries(NAMINGS))('of %s', (_, giveName) => {
    describe.each(CASES)(
      '$condition, mayReplace $mayReplace',
      ({ condition, mayReplace, nothing, something }) => {
        const demanded = (etag: string): ReplaceOptions => ({
          mayReplace,
          condition:
            condition === 'match' || condition === 'match another'
              ? { if: 'match', etag: condition === 'match' ? etag : 'another' }
              : { if: condition },
        });

        test(`where nothing stands: ${nothing}`, async () => {
          const given = giveName(subject.store, 'name', demanded('of what was'));
          if (nothing === 'done') {
            await given;
            expect(await subject.store.stat('name')).toMatchObject({ size: 3 });
          } else {
            expect(await failureOf(given)).toMatchObject({ code: nothing, details: {} });
          }
        });

        test(`where something stands: ${something}`, async () => {
          const { etag } = await putText(subject.store, 'name', 'old content');
          const given = giveName(subject.store, 'name', demanded(etag));
          if (something === 'done') {
            await given;
            expect(await subject.store.stat('name')).toMatchObject({ size: 3 });
          } else {
            expect(await failureOf(given)).toMatchObject({ code: something, details: { etag } });
            expect(await subject.store.stat('name')).toMatchObject({ etag });
            expect(await textOf(subject.store, 'name')).toBe('old content');
            await subject.store.discardUpload(KEY);
            expect(await uploadKeys(subject.store)).toEqual([]);
          }
        });
      },
    );
  });

  test.each(Object.entries(NAMINGS))(
    'a %s that is refused where not even the parents stand makes none of them',
    async (_, giveName) => {
      const wanted: ReplaceOptions = { condition: { if: 'match', etag: 'of what was' }, mayReplace: true };
      expect(await failureOf(giveName(subject.store, 'parent/name', wanted))).toMatchObject({
        code: 'precondition-failed',
      });
      expect(await failureOf(subject.store.stat('parent'))).toMatchObject({ code: 'not-found' });
    },
  );

  test('of files put at once where nothing may stand, exactly one wins', async () => {
    const contents = Array.from({ length: 12 }, (_, index) => `content ${index}`);
    const outcomes = await Promise.allSettled(
      contents.map((content) => putText(subject.store, 'a/name', content, ABSENT)),
    );
    const winners = contents.filter((_, index) => outcomes[index]?.status === 'fulfilled');
    expect(winners).toEqual([await textOf(subject.store, 'a/name')]);
    const { etag } = await subject.store.stat('a/name');
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected')
        expect(outcome.reason).toMatchObject({ code: 'exists', details: { etag } });
    }
    expect(await uploadKeys(subject.store)).toEqual([]);
  });

  test('an upload, a link and a move are judged in the same row as files that are put', async () => {
    const { store } = subject;
    const outcomes = await Promise.allSettled(
      Object.values(NAMINGS).map((giveName) => giveName(store, 'name', ABSENT)),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('of changes of one version made at once, exactly one wins', async () => {
    const { etag } = await putText(subject.store, 'name', 'old');
    const options: ReplaceOptions = { condition: { if: 'match', etag }, mayReplace: true };
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => putText(subject.store, 'name', `new ${index}`, options)),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await textOf(subject.store, 'name')).toBe(
      `new ${outcomes.findIndex(({ status }) => status === 'fulfilled')}`,
    );
  });

  test('without a condition the last one stands, whole', async () => {
    const contents = Array.from({ length: 8 }, (_, index) => `content ${index}`);
    await Promise.all(contents.map((content) => putText(subject.store, 'name', content, ANY)));
    expect(contents).toContain(await textOf(subject.store, 'name'));
  });
}
