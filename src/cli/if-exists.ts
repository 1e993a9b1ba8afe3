/** What `--if-exists` says. */
export type IfExists = 'overwrite' | 'skip' | 'fail' | 'rename';

/** Names that are tried one after the other with `--if-exists rename`: `a.txt`, `a-1.txt`, `a-2.txt`, … */
export function* freeNames(path: string): Generator<string> {
  const [, stem = path, ending = ''] = /^(.*[^/])(\.[^./]+)$/s.exec(path) ?? [];
  yield path;
  for (let number = 1; number <= 999; number += 1) yield `${stem}-${number}${ending}`;
}
