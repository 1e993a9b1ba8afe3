import type { Option } from 'commander';

import { named, repeatable, setting } from './settings.ts';

/** An option that may be given more than once, whose values may hold spaces: elsewhere they stand one per line. `parse` refuses a value, or answers what it stands for. */
export function linesSetting(
  flags: string,
  description: string,
  parse: (text: string) => string = (text) => text,
): Option {
  const option = repeatable(setting(flags, description));
  return option.argParser<string[]>((text, previous) => [
    ...(Array.isArray(previous) ? previous : []),
    ...valuesOf(text).map(named(option, parse, text)),
  ]);
}

/** The values in `text`, one per line. A value that is nothing but blank is kept, to be refused. */
export function valuesOf(text: string): string[] {
  return text.trim() === '' ? [text] : linesOf(text);
}

/** The lines that are not blank, without the byte order mark and the carriage returns that some editors leave. */
export function linesOf(text: string): string[] {
  return text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line) => line.replace(/\r$/, ''))
    .filter((line) => line.trim() !== '');
}
