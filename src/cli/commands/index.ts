import type { Command } from 'commander';

import type { Runner } from '../runner.ts';

/** Declares a command in `program`. */
export type AddCommand = (program: Command, run: Runner) => void;

/** Every command by its name, in the order of the help. Each is loaded only when it is asked for: that is most of what starting the program costs. */
export const COMMANDS: ReadonlyMap<string, () => Promise<AddCommand>> = new Map([
  ['serve', async () => (await import('./serve.ts')).addServe],
  ['put', async () => (await import('./put.ts')).addPut],
  ['get', async () => (await import('./get.ts')).addGet],
  ['sync', async () => (await import('./sync.ts')).addSync],
  ['check', async () => (await import('./check.ts')).addCheck],
  ['run', async () => (await import('./run.ts')).addRun],
  ['status', async () => (await import('./status.ts')).addStatus],
  ['cat', async () => (await import('./cat.ts')).addCat],
  ['ls', async () => (await import('./ls.ts')).addLs],
  ['stat', async () => (await import('./stat.ts')).addStat],
  ['search', async () => (await import('./search.ts')).addSearch],
  ['mkdir', async () => (await import('./mkdir.ts')).addMkdir],
  ['rm', async () => (await import('./rm.ts')).addRm],
  ['mv', async () => (await import('./mv.ts')).addMv],
  ['ping', async () => (await import('./ping.ts')).addPing],
  ['bench', async () => (await import('./bench.ts')).addBench],
  ['discover', async () => (await import('./discover.ts')).addDiscover],
  ['doctor', async () => (await import('./doctor.ts')).addDoctor],
  ['trust', async () => (await import('./trust.ts')).addTrust],
  ['cert', async () => (await import('./cert.ts')).addCert],
  ['token', async () => (await import('./token.ts')).addToken],
  ['remote', async () => (await import('./remote.ts')).addRemote],
  ['echo', async () => (await import('./echo.ts')).addEcho],
  ['chaos', async () => (await import('./chaos.ts')).addChaos],
  ['config', async () => (await import('./config.ts')).addConfig],
  ['clean', async () => (await import('./clean.ts')).addClean],
  ['completion', async () => (await import('./completion.ts')).addCompletion],
]);
