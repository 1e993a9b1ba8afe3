import type { Command } from 'commander';

import type { RunContext } from './run-context.ts';
import type { JobSettings } from './settings.ts';

/**
 * What a command does once its settings are known, given its operands; resolves with the exit code. `invoke` lets
 * another command of the program run in its place.
 */
export type Action = (context: RunContext, operands: unknown[], invoke: Invoke) => Promise<number>;

/** Lets the action of a command run, with its settings, its output and its failures in order. */
export type Runner = (
  command: Command,
  action: Action,
  traits?: { dataOnStdout?: (operands: unknown[]) => boolean },
) => void;

/** How a command is run as a job of the configuration file. */
export interface Invocation {
  /** What stood behind the name of the command, would it be typed. */
  args: readonly string[];
  /** How many of them are operands. */
  operandCount: number;
  settings: JobSettings;
  /** Called when the settings are known, before anything is done. */
  onBegin(context: RunContext): Promise<void>;
}

/** Runs a command, which tells of its failures; resolves with its exit code. Throws `usage` for a bad value of an option. */
export type Invoke = (command: Command, invocation: Invocation) => Promise<number>;
