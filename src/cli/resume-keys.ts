import { join } from 'node:path';

import type { ResumeKeys } from '../client/resume-keys.ts';
import type { SealiftError } from '../errors.ts';
import type { RunContext } from './run-context.ts';

/** The resume keys of this user. That no key can be kept is a warning, said once: the files can be sent all the same. */
export async function resumeKeysOf(context: RunContext): Promise<ResumeKeys> {
  const { ResumeKeys } = await import('../client/resume-keys.ts');
  const directory = join(context.directories.state, 'resume');
  const onUnusable = ({ code }: SealiftError) => {
    const reason = code === 'local-no-space' ? 'has no space left' : 'cannot be used';
    context.warnOnce(
      `A later run cannot go on with what this one leaves unfinished: ${directory} ${reason}.`,
    );
  };
  return new ResumeKeys(directory, undefined, { onUnusable });
}
