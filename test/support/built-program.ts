import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { programBuild } from '../../scripts/program-build.ts';

/** Below `node_modules`, where the program finds the packages that it needs. */
const CACHE = resolve('node_modules/.cache/sealift-tests');
/** After so long, the program of other sources is not needed again. */
const MAX_UNUSED_MS = 7 * 86_400_000;

/**
 * The file that starts the program as it is published: a client then takes two thirds of the time that it takes from
 * the sources, and a server four fifths. It is made when the sources have changed, by whoever needs it first; copies of
 * the tree have their own.
 */
export async function builtProgram(): Promise<string> {
  const directory = join(CACHE, `program-${fingerprint()}`);
  const main = join(directory, 'dist/cli/main.js');
  if (!existsSync(main)) await make(directory);
  utimesSync(directory, new Date(), new Date());
  return main;
}

function fingerprint(): string {
  const hash = createHash('sha256');
  for (const file of [
    ...globSync('src/**/*.ts').sort(),
    'scripts/program-build.ts',
    'package-lock.json',
    'package.json',
  ])
    hash.update(`${file}\0`).update(readFileSync(file)).update('\0');
  return hash.digest('hex').slice(0, 16);
}

async function make(directory: string): Promise<void> {
  for (const old of globSync(join(CACHE, '{program,unfinished}-*'))) {
    // Another process may be about to name it.
    const usedMs = statSync(old, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
    if (Date.now() - usedMs > MAX_UNUSED_MS) rmSync(old, { recursive: true, force: true });
  }
  const { build } = await import('rolldown');
  mkdirSync(CACHE, { recursive: true });
  const unfinished = mkdtempSync(join(CACHE, 'unfinished-'));
  await build(programBuild(join(unfinished, 'dist/cli')));
  cpSync('package.json', join(unfinished, 'package.json'));
  // Some tests run it as another user.
  chmodSync(unfinished, 0o755);
  try {
    renameSync(unfinished, directory);
  } catch (error) {
    // Another process was quicker.
    rmSync(unfinished, { recursive: true });
    if (!existsSync(directory)) throw error;
  }
}
