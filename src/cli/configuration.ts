import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { SealiftError, systemCode } from '../errors.ts';
import type { Directories } from './directories.ts';

/** The configuration file of a run and what it says, which nobody has judged yet. */
export interface Configuration {
  file: string;
  document: Readonly<Record<string, unknown>>;
}

/** The file that `--config` names, or the one of the user. */
export function configurationFile(named: unknown, directories: Directories): string {
  return typeof named === 'string' ? named : join(directories.config, 'config.toml');
}

/** Reads the configuration. Only the file of the user may be missing. Throws `bad-configuration`. */
export async function readConfiguration(named: unknown, directories: Directories): Promise<Configuration> {
  const file = configurationFile(named, directories);
  try {
    const text = await readFile(file, 'utf8');
    const { parseToml } = await import('../trust/toml.ts');
    return { file, document: parseToml(text, file) };
  } catch (cause) {
    if (cause instanceof SealiftError) throw cause;
    if (systemCode(cause) === 'ENOENT' && typeof named !== 'string') return { file, document: {} };
    throw new SealiftError(
      'bad-configuration',
      `${file} cannot be read (${systemCode(cause) ?? String(cause)}).`,
      { cause },
    );
  }
}

/** Whether a value of a TOML document is a table. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** A single value of a TOML document as it is written on a command line. */
export function settingText(value: unknown): string {
  // A date of TOML tells in this form whether it is local; as text it would be one of Node's, in its time zone.
  return value instanceof Date ? value.toISOString() : String(value);
}
