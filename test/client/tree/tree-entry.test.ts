import { describe, expect, test } from 'vitest';

import { isTemporary, NameClashes, type NameFolding } from '../../../src/client/tree/tree-entry.ts';
import { untilSteady } from '../../../src/client/tree/steady.ts';
import { SealiftError } from '../../../src/errors.ts';
import { failureOf } from '../../support/failure.ts';
import { thrownBy } from '../../thrown.ts';

describe('names that a target cannot tell apart', () => {
  const CASE: NameFolding = { case: true, forms: false, ends: false };
  const FORMS: NameFolding = { case: false, forms: true, ends: false };
  const FAT: NameFolding = { case: true, forms: true, ends: true };

  test.each<[paths: string[], folding: NameFolding, clash: string | undefined]>([
    [['a', 'b', 'a/b', 'b/a'], FAT, undefined],
    [['a', 'A'], CASE, '"A" and "a" are the same name .* \\("A" at position 0\\)'],
    [['dir/Straße', 'dir/STRASSE'], CASE, undefined],
    [['dir/Ärger', 'dir/ärger'], CASE, '"dir/ärger" and .* \\("ä" at position 4\\)'],
    [['a', 'A'], FORMS, undefined],
    [['n\u00e9', 'ne\u0301'], FORMS, '\\("e" at position 1\\)'],
    [['n\u00e9', 'ne\u0301'], CASE, undefined],
    // The directories above are the same too, whether they were told of or not.
    [['Dir/a', 'dir/b'], CASE, '"dir" and "Dir"'],
    [['x', 'X/y/z'], CASE, '"X" and "x"'],
    // What stands at the end of a name and is not kept.
    [['etc', 'etc.'], FAT, '"etc\\." and "etc" .* \\("\\." at position 3\\)'],
    [['etc. ', 'etc'], FAT, '"etc" and "etc\\. " .* \\("\\." at position 3\\)'],
    [['d ./x', 'D/y'], FAT, '"D" and "d \\."'],
    [['a.b', 'a b', '.ab', ' ab'], FAT, undefined],
    [['etc', 'etc.', 'etc '], CASE, undefined],
    [['etc', 'etc.'], FORMS, undefined],
  ])('%j', (paths, folding, clash) => {
    const clashes = new NameClashes(folding);
    for (const path of paths.slice(0, -1)) clashes.add(path);
    const adding = () => clashes.add(paths.at(-1) ?? '');
    if (clash === undefined) return adding();
    const error = thrownBy(adding);
    expect(error).toMatchObject({ code: 'bad-name' });
    expect(error.message).toMatch(new RegExp(clash));
    // What is in it is refused like itself, and the other stays.
    expect(thrownBy(() => clashes.add(`${paths.at(-1)}/more`))).toMatchObject({ code: 'bad-name' });
    clashes.add(`${paths[0]}/more`);
  });
});

test.each([
  ['.sealift-0123456789abcdef.part', true],
  ['a/b/.sealift-0123456789abcdef.lock', true],
  ['.sealift-0123456789abcdef.part/a', false],
  ['.sealift-0123456789abcdeF.part', false],
  ['.sealift-0123456789abcdef.part2', false],
  ['x.sealift-0123456789abcdef.part', false],
  ['.sealift-0123.part', false],
])('%s names a temporary: %s', (path, expected) => {
  expect(isTemporary(path)).toBe(expected);
});

describe('what is written to while it is read', () => {
  const changed = new SealiftError('source-changed', 'It changed.');
  const changing = (times: number) => {
    let calls = 0;
    const send = () => ((calls += 1) <= times ? Promise.reject(changed) : Promise.resolve(calls));
    return { send, calls: () => calls };
  };

  test('is read anew three times at most', async () => {
    expect(await untilSteady(true, changing(3).send)).toBe(4);
    const restless = changing(4);
    expect(await failureOf(untilSteady(true, restless.send))).toBe(changed);
    expect(restless.calls()).toBe(4);
  });

  test('is read once where that is asked for, and after other failures', async () => {
    const once = changing(1);
    expect(await failureOf(untilSteady(false, once.send))).toBe(changed);
    expect(once.calls()).toBe(1);
    let calls = 0;
    const gone = new SealiftError('local-not-found', 'It is gone.');
    const send = () => Promise.reject((calls += 1) > 0 ? gone : changed);
    expect(await failureOf(untilSteady(true, send))).toBe(gone);
    expect(calls).toBe(1);
  });
});
