import { spawnSync } from 'node:child_process';

/** Whether a program is there that gives a second opinion on what is made here; `args` have it end at once. */
export function isInstalled(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}
