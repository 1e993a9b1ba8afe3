import type { Command } from 'commander';

import type { Runner } from '../runner.ts';
import { addCat } from './cat.ts';
import { addCheck } from './check.ts';
import { addClean } from './clean.ts';
import { addCompletion } from './completion.ts';
import { addConfig } from './config.ts';
import { addGet } from './get.ts';
import { addLs } from './ls.ts';
import { addMkdir } from './mkdir.ts';
import { addMv } from './mv.ts';
import { addPing } from './ping.ts';
import { addPut } from './put.ts';
import { addRemote } from './remote.ts';
import { addRm } from './rm.ts';
import { addRun } from './run.ts';
import { addSearch } from './search.ts';
import { addServe } from './serve.ts';
import { addStat } from './stat.ts';
import { addStatus } from './status.ts';
import { addSync } from './sync.ts';
import { addTrust } from './trust.ts';

/** Every command, in the order of the help. */
export const COMMANDS: readonly ((program: Command, run: Runner) => void)[] = [
  addServe,
  addPut,
  addGet,
  addSync,
  addCheck,
  addRun,
  addStatus,
  addCat,
  addLs,
  addStat,
  addSearch,
  addMkdir,
  addRm,
  addMv,
  addPing,
  addTrust,
  addRemote,
  addConfig,
  addClean,
  addCompletion,
];
