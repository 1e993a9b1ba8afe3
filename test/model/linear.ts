/** What was done to one name, from its beginning to its end as numbers that count on, and how it ended. */
export interface Deed {
  from: number;
  to: number;
  /** By what stood: whether it can have ended so, and what stands then. Undefined: not so. */
  effect: (stood: string | undefined) => { stands: string | undefined } | undefined;
}

/** Whether some order explains how all ended, in which nothing comes before what had ended when it began. */
export function isExplained(deeds: readonly Deed[], stood: string | undefined): boolean {
  if (deeds.length === 0) return true;
  const firstEnd = Math.min(...deeds.map(({ to }) => to));
  return deeds.some((deed, index) => {
    if (deed.from > firstEnd) return false;
    const done = deed.effect(stood);
    return done !== undefined && isExplained(deeds.toSpliced(index, 1), done.stands);
  });
}
