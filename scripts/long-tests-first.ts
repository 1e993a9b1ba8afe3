import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Folders of test/ with files that take long, the longest first. */
const LONG = ['integration', 'storage', 'client', 'property', 'scripts', 'security'];

/**
 * Starts the folders with long files first, so that none is left to run alone at the end. Within a folder it is what
 * Vitest does: the longest first by the last run, or where there was none, the largest.
 */
export class LongTestsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => rank(a) - rank(b));
  }
}

function rank({ moduleId }: TestSpecification): number {
  const [folder = ''] = relative('test', moduleId).split('/');
  const index = LONG.indexOf(folder);
  return index < 0 ? LONG.length : index;
}
