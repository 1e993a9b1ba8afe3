/** The words as a shell reads them. */
export function quoted(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}

/** The command that runs a script, and fails if any part of it does. */
export function inShell(script: string): readonly string[] {
  return ['bash', '-e', '-o', 'pipefail', '-c', script];
}
