import { join } from 'node:path';

import { SealiftError } from '../errors.ts';
import { updatePrivateFile } from '../trust/private-file.ts';
import type { Directories } from './directories.ts';

/** How often this was asked for a saved remote before: by this, the runs of one user take turns among its servers. */
export async function nextTurn({ state }: Directories, remote: string): Promise<number> {
  const file = join(state, 'turns', remote);
  let turn = 0;
  await updatePrivateFile(file, (text) => {
    turn = text === undefined ? 0 : turnIn(text, file);
    return `${turn + 1}\n`;
  });
  return turn;
}

function turnIn(text: string, file: string): number {
  const turn = Number(text);
  if (/^\d+\n$/.test(text) && Number.isSafeInteger(turn + 1)) return turn;
  throw new SealiftError('bad-configuration', `${file} should hold a number and does not.`, {
    hint: 'Remove it; the first server is next then.',
  });
}
