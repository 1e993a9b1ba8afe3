// A result that is not the same bytes is no result: it ends the run.
import { finished } from './commands.ts';

export async function mustBeSameFile(expected: string, actual: string): Promise<void> {
  const { code, output, errors } = await finished('cmp', [expected, actual]);
  if (code !== 0) throw new Error(`${actual} is not what was sent: ${output}${errors}`);
}

export async function mustBeSameTree(expected: string, actual: string): Promise<void> {
  const { code, output, errors } = await finished('diff', ['-rq', expected, actual]);
  if (code !== 0) throw new Error(`${actual} is not what was sent: ${output.slice(0, 1000)}${errors}`);
}
