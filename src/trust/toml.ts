import { parse, TomlError } from 'smol-toml';

import { SealiftError } from '../errors.ts';

/** Parses a TOML file of ours. Throws `bad-configuration` with its name and line. */
export function parseToml(text: string, file: string): Record<string, unknown> {
  let problem: TomlError;
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    problem = error;
  }
  // The first line alone, and not the error itself as the cause: the rest shows the text, in which a secret may stand.
  const [what = ''] = problem.message.split('\n', 1);
  throw new SealiftError(
    'bad-configuration',
    `${file}, line ${problem.line}: ${what.replace(/^Invalid TOML document: /, '')}`,
    { hint: 'Mend this line.' },
  );
}
