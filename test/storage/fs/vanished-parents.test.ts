import { readdirSync, rmdirSync, rmSync } from 'node:fs';
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
  ['move', 'rename', () => subject.store.move('other', 'directory/file', ANY)],
])('a %s into a directory that is removed in that moment may be tried again', async (_, call, change) => {
  await subject.store.mkdir('directory', {});
  await putText(subject.store, 'other', 'text');
  removeParentBefore(call);
  expect(await codeOf(change())).toBe('busy');
  expect(readdirSync(subject.root.at('.sealift/uploads'))).toEqual([]);
  await change();
  expect((await subject.store.stat('directory/file')).path).toBe('directory/file');
});

test('a move of what is removed in that moment, or with its directory, is final', async () => {
  const { store, root } = subject;
  for (const gone of ['from/file', 'from']) {
    await store.mkdir('to', {});
    await putText(store, 'from/file', 'text');
    let isThere = true;
    files.heal(({ name }) => {
      if (name === 'rename' && isThere) {
        isThere = false;
        rmSync(root.at(gone), { recursive: true });
      }
      return undefined;
    });
    expect(await codeOf(store.move('from/file', 'to/file', ANY)), gone).toBe('not-found');
    files.heal();
  }
});
