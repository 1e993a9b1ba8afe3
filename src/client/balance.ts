import { systemRandom, type Random } from '../random.ts';

/** Which of several servers is tried first: always the same one, each in turn, or any. */
export type Balance = 'first' | 'round-robin' | 'random';

export const BALANCES: readonly Balance[] = ['first', 'round-robin', 'random'];

/** The order in which `servers` are to be tried. `turn`: how often that was asked for them before. Default 0. */
export function balanced<T>(
  servers: readonly T[],
  balance: Balance,
  { turn = 0, random = systemRandom }: { turn?: number; random?: Random } = {},
): T[] {
  if (balance === 'first') return [...servers];
  if (balance === 'random') return shuffled(servers, random);
  const start = turn % servers.length;
  return [...servers.slice(start), ...servers.slice(0, start)];
}

// Fisher and Yates: every order is as likely as any other.
function shuffled<T>(items: readonly T[], random: Random): T[] {
  const left = [...items];
  return items.flatMap(() => left.splice(Math.floor(random.fraction() * left.length), 1));
}
