/**
 * Whether `path` contains `query`, or matches it as a glob: `?` is one character, `*` any within a component,
 * `**` any across components. Written here because the pattern comes from a peer: regular expressions made from
 * globs can take exponential time, this takes at most length times length.
 */
export function matchesSearch(path: string, query: string): boolean {
  return path.includes(query) || matchesGlob(path, query);
}

function matchesGlob(path: string, pattern: string): boolean {
  const tokens = pattern.match(/\*\*|\*|\?|[^*?]/gsu) ?? [];
  // reachable[i]: the tokens so far can match the first i characters.
  const characters = [...path];
  let reachable = new Array<boolean>(characters.length + 1).fill(false);
  reachable[0] = true;
  for (const token of tokens) {
    const next = new Array<boolean>(characters.length + 1).fill(false);
    for (let end = 0; end <= characters.length; end += 1) {
      const last = characters[end - 1];
      if (token === '**') next[end] = reachable[end] === true || (end > 0 && next[end - 1] === true);
      else if (token === '*')
        next[end] = reachable[end] === true || (last !== undefined && last !== '/' && next[end - 1] === true);
      else if (last !== undefined)
        next[end] = reachable[end - 1] === true && (token === '?' ? last !== '/' : last === token);
    }
    reachable = next;
  }
  return reachable[characters.length] === true;
}
