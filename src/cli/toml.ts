import { parse, TomlError } from 'smol-toml';

import { SealiftError } from '../errors.ts';

/** Parses a TOML file of ours. Throws `bad-configuration` with its name and line. */
export function parseToml(text: string, file: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    // Only the first line: the rest of the message shows the text, in which a secret may stand.
    throw new SealiftError(
      'bad-configuration',
      `${file}, line ${cause.line}: ${cause.message.split('\n', 1)[0] ?? ''}`,
      { cause },
    );
  }
}
