import type { Command } from 'commander';

/** `put`, or `remote add` for a command inside another; empty for the program itself. */
export function fullName(command: Command | null | undefined): string {
  if (!command?.parent) return '';
  return `${fullName(command.parent)} ${command.name()}`.trim();
}
