import { describe, expect, test } from 'vitest';

import { copyTree, syncTree, type SyncTreeOptions } from '../../../src/client/tree/sync-tree.ts';
import { failureOf } from '../../support/failure.ts';
import { contentsAt } from '../../support/planted-tree.ts';
import { startTrees, Told } from './tree-setting.ts';

const FILES = { file: 'x', 'directory/other': 'y' };

describe.each([
  ['copyTree', copyTree],
  ['syncTree', syncTree],
])('%s', (_name, run) => {
  test.each([
    'transfers',
    'onChange',
    'onVanish',
    'isHopeless',
    'filter',
    'rules',
    'observer',
    'signal',
    'deleteExcluded',
    'maxDelete',
  ] as const)('takes its default for %s where undefined is given', async (name) => {
    const trees = await startTrees('put', FILES, {});
    expect(await run(trees.direction(), { [name]: undefined })).toBe(true);
    expect(await contentsAt(trees.target)).toEqual(await contentsAt(trees.source));
  });

  test('takes its default for each rule where undefined is given', async () => {
    const trees = await startTrees('put', FILES, { file: 'another' });
    const rules = { archive: undefined, compare: undefined, update: undefined, ifExists: undefined };
    expect(await run(trees.direction(), { rules } as unknown as SyncTreeOptions)).toBe(true);
    expect(await contentsAt(trees.target)).toEqual(await contentsAt(trees.source));
  });

  test.each([0, -1, 0.5, 1.5, NaN, Infinity])('sends nothing by %d transfers, and says so', async (count) => {
    const trees = await startTrees('put', FILES, {});
    const error = await failureOf(run(trees.direction(), { transfers: count }));
    expect(error).toMatchObject({ code: 'invalid-argument', message: expect.stringContaining('transfers') });
    expect(await contentsAt(trees.target)).toEqual({});
  });

  test('tells what failed, and goes on, where undefined is given for isHopeless', async () => {
    const trees = await startTrees('put', { ...FILES, 'kept/name': 'of the backup' }, {});
    const observer = new Told();
    const direction = trees.direction({ backupDirectory: 'tree/kept' });
    const options = { isHopeless: undefined, observer } as unknown as SyncTreeOptions;
    expect(await run(direction, options)).toBe(false);
    expect(Object.keys(observer.failed).sort()).toEqual(['kept', 'kept/name']);
    expect(Object.keys(observer.outcomes).sort()).toEqual(['directory/other', 'file']);
  });
});
