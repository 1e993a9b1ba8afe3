/** Which publications are remembered no longer, as `Store.forgetPublished` says it, of those that are listed the oldest first where they are of one age. */
export function oldPublications(
  publications: readonly { id: string; writtenMs: number }[],
  beforeMs: number,
  maxPerOwner: number,
): string[] {
  const counts = new Map<string, number>();
  const old = publications
    .toReversed()
    .sort((a, b) => b.writtenMs - a.writtenMs)
    .filter(({ id, writtenMs }) => {
      const owner = id.split('-', 1)[0] ?? id;
      const count = (counts.get(owner) ?? 0) + 1;
      counts.set(owner, count);
      return writtenMs < beforeMs || count > maxPerOwner;
    });
  return old.map(({ id }) => id);
}
