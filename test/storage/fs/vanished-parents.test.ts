import { readdirSync, rmdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ANY, codeOf, putText } from '../../contract/store/samples.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { useFileStore } from './file-store.ts';

let files: FaultyFiles;
const subject = useFileStore(() => (files = new FaultyFiles()));

/** Somebody else removes the empty directory just before the first call of that name. */
function removeParentBefore(name: string): void {
  let isThere = true;
  files.heal((call) => {
    if (call.name === name && isThere) {
      isThere = false;
      rmdirSync(subject.root.at('directory'));
    }
    return undefined;
  });
}

test.each([
  ['put', 'rename', () => putText(subject.store, 'directory/file', 'text')],
  ['symlink', 'symlink', () => subject.store.symlink('directory/file', 'target', ANY)],
])('a %s into a directory that is removed in that moment may be tried again', async (_, call, change) => {
  await subject.store.mkdir('directory', {});
  removeParentBefore(call);
  expect(await codeOf(change())).toBe('busy');
  expect(readdirSync(subject.root.at('.sealift/uploads'))).toEqual([]);
  await change();
  expect((await subject.store.stat('directory/file')).path).toBe('directory/file');
});
