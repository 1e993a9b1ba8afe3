import type { Command } from 'commander';

import type { RunContext } from './run-context.ts';

/** What a command does once its settings are known, given its operands; resolves with the exit code. */
export type Action = (context: RunContext, operands: unknown[]) => Promise<number>;

/** Lets the action of a command run, with its settings, its output and its failures in order. */
export type Runner = (
  command: Command,
  action: Action,
  traits?: { dataOnStdout?: (operands: unknown[]) => boolean },
) => void;
