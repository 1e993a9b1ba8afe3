// What the works have in common: a program puts or gets a file or a tree, the copy is compared, and removed or put out of the way.
import { linkSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { mustRun } from '../commands.ts';
import { measured } from '../measure.ts';
import type { Carrier } from '../peers/server.ts';
import { mustBeSameFile, mustBeSameTree } from '../verify.ts';
import type { Case, Setting } from '../work.ts';

/** What is copied. */
export interface Copied {
  source: string;
  isTree?: boolean;
  /** How large it is, as people say it. */
  size: string;
  amount?: Case['amount'];
  /** What becomes of a copy once it was compared. Default: it is removed. */
  discard?: (path: string) => void;
}

/** Both ways, for every program that can. */
export function copyCases(setting: Setting, carriers: readonly Carrier[], copied: Copied): Case[] {
  return carriers.flatMap((carrier) => [
    ...putCases(carrier, copied),
    ...getCases(carrier, copied, join(setting.directory, 'fetched')),
  ]);
}

/** `source` to the server; none if the program cannot. */
export function putCases(
  carrier: Carrier,
  { source, isTree = false, size, amount, discard = remove }: Copied,
): Case[] {
  const { name, server, put } = carrier;
  if (!put) return [];
  const stored = join(server.root, 'copy');
  const run = async () => {
    const cost = await measured(server, put(source, 'copy'));
    await mustBeSame(source, stored, isTree);
    discard(stored);
    return cost;
  };
  return [{ what: `put ${size}`, program: name, amount, run }];
}

/** The same from the server, to `target`. */
export function getCases(
  carrier: Carrier,
  { source, isTree = false, size, amount, discard = remove }: Copied,
  target: string,
): Case[] {
  const { name, server, get } = carrier;
  if (!get) return [];
  const stored = join(server.root, 'copy');
  const run = async () => {
    // Links are made at once, and to a reader they are files like others.
    if (isTree) await mustRun('cp', ['-al', source, stored]);
    else linkSync(source, stored);
    const cost = await measured(server, get('copy', target));
    await mustBeSame(source, target, isTree);
    discard(target);
    discard(stored);
    return cost;
  };
  return [{ what: `get ${size}`, program: name, amount, run }];
}

/** A tree both ways, for every program that can, to where a copy of it stands already: the first, which is not counted. */
export async function sameAgainCases(
  { directory }: Setting,
  carriers: readonly Carrier[],
  { source, size, amount }: Pick<Copied, 'source' | 'size' | 'amount'>,
): Promise<Case[]> {
  const cases: Case[] = [];
  for (const { name: program, server, put, get } of carriers) {
    // Of its own, since the next program copies to the same server.
    const copy = `copy-${program.replaceAll(/\W/g, '-')}-${size.replaceAll(/\W/g, '-')}`;
    const ways = [
      ['put', join(server.root, copy), put?.(source, copy)],
      ['get', join(directory, copy), get?.(copy, join(directory, copy))],
    ] as const;
    for (const [way, target, command] of ways) {
      if (!command) continue;
      await measured(server, command);
      const run = async () => {
        const cost = await measured(server, command);
        await mustBeSame(source, target, true);
        return cost;
      };
      cases.push({ what: `${way} ${size}`, program, amount, run });
    }
  }
  return cases;
}

/**
 * Keeps copies in `directory`, out of the way. ext4 steps over each inode that was freed in the last minute (its
 * `recently_deleted`), so that whoever makes many files behind a removal of many takes ten times as long.
 */
export function keptIn(directory: string): (path: string) => void {
  mkdirSync(directory);
  let count = 0;
  return (path) => renameSync(path, join(directory, String((count += 1))));
}

export function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

async function mustBeSame(expected: string, actual: string, isTree: boolean): Promise<void> {
  await (isTree ? mustBeSameTree : mustBeSameFile)(expected, actual);
}
