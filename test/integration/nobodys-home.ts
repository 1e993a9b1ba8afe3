import { lchownSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CliHome, SEALIFT } from '../support/cli.ts';
import type { RunningProcess, RunOptions } from '../support/running-process.ts';

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

/** A home whose processes are nobody's if the tests are run by root, to whom no file is unreadable. */
export class NobodysHome extends CliHome {
  constructor() {
    super();
    for (const name of ['', 'home', 'config', 'state', 'work']) this.giveAway(this.at(name));
    // What root's processes have compiled is not taken for nobody's, nor can these write there.
    const compiled = this.env['NODE_COMPILE_CACHE'];
    if (compiled !== undefined) this.env['NODE_COMPILE_CACHE'] = this.#ownDirectory(`${compiled}-nobody`);
    const coverage = this.env['NODE_V8_COVERAGE'];
    if (coverage !== undefined) this.#ownDirectory(coverage);
  }

  override start(args: readonly string[], options: RunOptions = {}): RunningProcess {
    const rights = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] as const;
    return this.startCommand(isRoot ? [...rights, ...SEALIFT, ...args] : [...SEALIFT, ...args], options);
  }

  override trust(place: string, pin: string): void {
    super.trust(place, pin);
    for (const name of ['config/sealift', 'config/sealift/known_servers']) this.giveAway(this.at(name));
  }

  #ownDirectory(path: string): string {
    mkdirSync(path, { recursive: true });
    if (isRoot) lchownSync(path, NOBODY, NOBODY);
    return path;
  }

  /** Lets a file, or a directory with all in it, belong to whom the processes belong to. */
  giveAway(path: string): void {
    if (!isRoot) return;
    if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) this.giveAway(join(path, name));
    lchownSync(path, NOBODY, NOBODY);
  }
}
