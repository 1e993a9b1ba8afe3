import type { Option } from 'commander';

import { printable } from './escape.ts';
import type { RunContext } from './run-context.ts';
import { setting } from './settings.ts';
import type { EventFields } from './terminal.ts';

/** The option of commands that change something: they only tell what that would be. */
export function dryRunOption(): Option {
  return setting('-n, --dry-run', 'only show what would be done');
}

/** Whether nothing is to be changed. */
export function isDryRun({ settings }: RunContext): boolean {
  return settings['dryRun'] === true;
}

/** Tells a step that a run would take: `line` to a person, `fields` to a program. */
export function tellPlan({ terminal }: RunContext, line: string, fields: EventFields): void {
  terminal.event('plan', fields);
  if (!terminal.options.json) terminal.data(printable(line));
}

/** The last word of a dry run. */
export function noteDryRun(context: RunContext): void {
  if (isDryRun(context)) context.terminal.note('Nothing was changed: this was a dry run.');
}
