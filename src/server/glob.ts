/**
 * Whether `path` contains `query`, or matches it as a glob: `?` is one character, `*` any within a component,
 * `**` any across components. Written here because the pattern comes from a peer: regular expressions made from
 * globs can take exponential time, this takes at most length times length.
 */
export function matchesSearch(path: string, query: string): boolean {
  return path.includes(query) || matchesGlob(path, query);
}

function matchesGlob(path: string, pattern: string): boolean {
  const characters = [...path];
  const { length } = characters;
  // reachable[i]: the tokens so far can match the first i characters.
  let reachable = new Uint8Array(length + 1);
  let next = new Uint8Array(length + 1);
  reachable[0] = 1;
  for (const token of pattern.match(/\*+|\?|[^*?]/gsu) ?? []) {
    const isStar = token.startsWith('*');
    const mayCross = token.length > 1 && isStar;
    next[0] = isStar ? (reachable[0] as number) : 0;
    for (let end = 1; end <= length; end += 1) {
      const last = characters[end - 1];
      if (isStar) next[end] = reachable[end] || (mayCross || last !== '/' ? (next[end - 1] as number) : 0);
      else next[end] = (token === '?' ? last !== '/' : last === token) ? (reachable[end - 1] as number) : 0;
    }
    if (!next.includes(1)) return false;
    [reachable, next] = [next, reachable];
  }
  return reachable[length] === 1;
}
