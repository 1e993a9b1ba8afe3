import type { Command } from 'commander';

import type { RunContext } from './run-context.ts';
import type { JobSettings, Settings } from './settings.ts';

/**
 * What a command does once its settings are known, given its operands and the program that it belongs to; resolves
 * with the exit code.
 */
export type Action = (context: RunContext, operands: unknown[], program: Program) => Promise<number>;

/** The program, as its commands see it. */
export interface Program {
  load: LoadProgram;
  /** Lets another command run in the place of this one. */
  invoke: Invoke;
}

/** The command line with the commands of these names; default: all, in the order of the help. Only the one that was typed is loaded otherwise. */
export type LoadProgram = (names?: readonly string[]) => Promise<Command>;

/** Lets the action of a command run, with its settings, its output and its failures in order. */
export type Runner = (command: Command, action: Action, traits?: Traits) => void;

/** What is known of a command by its operands. */
interface Traits {
  /** Whether data goes to standard output. */
  dataOnStdout?: (operands: unknown[], settings: Settings) => boolean;
  /** Whether the command goes on where it was when it is run again. */
  goesOn?: (operands: unknown[]) => boolean;
}

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
