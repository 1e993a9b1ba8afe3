import type { CliHome, ServeProcess } from '../support/cli.ts';
import { plantTree, type Planted } from '../support/planted-tree.ts';

export type Direction = 'to a server' | 'from a server';
export const DIRECTIONS: readonly Direction[] = ['to a server', 'from a server'];

/** What stands on one side, by path. */
export type Tree = Readonly<Record<string, Planted>>;

/** A source and a target, one of them on a server. */
export interface Sides {
  /** As operands. */
  source: string;
  target: string;
  /** Where they are on this machine, to be looked at without the program. */
  from: string;
  to: string;
}

let count = 0;

/** A source and a target that nobody else uses. The source is planted, and the target if there is a tree for it. */
export async function twoSides(
  home: CliHome,
  server: ServeProcess,
  direction: Direction,
  from: Tree,
  to?: Tree,
): Promise<Sides> {
  count += 1;
  const here = home.at('work', `sides-${count}`);
  const there = home.at('root', `sides-${count}`);
  const place = server.place(`sides-${count}`);
  const sides =
    direction === 'to a server'
      ? { source: `${here}/source`, target: `${place}/target`, from: `${here}/source`, to: `${there}/target` }
      : {
          source: `${place}/source`,
          target: `${here}/target`,
          from: `${there}/source`,
          to: `${here}/target`,
        };
  await plantTree(sides.from, from);
  if (to !== undefined) await plantTree(sides.to, to);
  return sides;
}
