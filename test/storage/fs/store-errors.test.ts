import { expect, test } from 'vitest';
import { SealiftError } from '../../../src/errors.ts';
import { passOverGone, storeError } from '../../../src/storage/fs/store-errors.ts';

test.each([
  ['ENOENT', 'not-found'],
  ['EISDIR', 'is-directory'],
  ['ENOTDIR', 'not-directory'],
  ['ELOOP', 'not-directory'],
  ['ENOTEMPTY', 'not-empty'],
  ['EEXIST', 'exists'],
  ['ENAMETOOLONG', 'bad-name'],
  ['EILSEQ', 'bad-name'],
  ['EACCES', 'forbidden'],
  ['EPERM', 'forbidden'],
  ['EROFS', 'forbidden'],
  ['ENOSPC', 'no-space'],
  ['EDQUOT', 'no-space'],
  ['EFBIG', 'too-large'],
  ['EMFILE', 'busy'],
  ['ENFILE', 'busy'],
  ['EXDEV', 'unsupported'],
  ['EIO', 'internal'],
  ['ESTALE', 'internal'],
])('%s is told as %s', (errno, code) => {
  const cause = Object.assign(new Error(`${errno}: open '/srv/private/.sealift/uploads/x'`), { code: errno });
  const error = storeError(cause, 'a/path');
  expect(error).toBeInstanceOf(SealiftError);
  expect(error.code).toBe(code);
  expect(error.cause).toBe(cause);
  // It goes to the client, who is not told where the files of the server lie.
  expect(error.message).not.toContain('/srv');
  expect(error.message).toMatch(/^[^\n]+\.$/);
  if (code !== 'internal') expect(error.message).toContain('"a/path"');
});

test('what is no error of the system is internal', () => {
  expect(storeError(new TypeError('a defect'), 'path').code).toBe('internal');
  expect(storeError('a text', '').code).toBe('internal');
});

test('what was explained already stays as it is', () => {
  const error = new SealiftError('not-found', 'It is not there.');
  expect(storeError(error, 'path')).toBe(error);
});

test('a failure that concerns no path of the client names the root', () => {
  expect(storeError({ code: 'EACCES' }, '').message).toMatch(/^The root /);
});

test('only what is gone is passed over', () => {
  expect(passOverGone(new SealiftError('not-found', 'Gone.'))).toBeUndefined();
  expect(passOverGone(new SealiftError('not-directory', 'Gone.'))).toBeUndefined();
  const error = new SealiftError('forbidden', 'Not gone.');
  expect(() => passOverGone(error)).toThrow(error);
});
