import { basename } from 'node:path';

import type { SealiftError } from '../errors.ts';
import { printable } from './escape.ts';
import type { Terminal } from './terminal.ts';

/** How many failures for one reason a person is told of one by one: of lines that are the same, and of those that name a file each. */
const MAX_SAME = 3;
const MAX_PLACES = 20;

/** The failures of a run. Programs hear of each; a person of the first few for one reason, and how many there were more. */
export class FailureLines {
  readonly #terminal: Terminal;
  readonly #command: string;
  readonly #alike = new Map<string, { error: SealiftError; told: number; more: number }>();

  constructor(terminal: Terminal, command: string) {
    this.#terminal = terminal;
    this.#command = command;
  }

  /** `isOfFile`: it is a matter of this file, and not of all. */
  tell(error: SealiftError, path: string, { isOfFile }: { isOfFile: boolean }): void {
    const isNamed = namesPlace(error.message, path);
    const place = isOfFile && !isNamed ? path : undefined;
    const key = `${error.code}\0${isNamed ? withoutNames(error.message, path) : error.message}`;
    const alike = this.#alike.get(key) ?? { error, told: 0, more: 0 };
    this.#alike.set(key, alike);
    const isTold =
      this.#terminal.options.verbose || alike.told < (isOfFile || isNamed ? MAX_PLACES : MAX_SAME);
    if (isTold) alike.told += 1;
    else alike.more += 1;
    this.#terminal.failure(this.#command, error, path, { place, isTold });
  }

  /** How many were not told. */
  tellRest(): void {
    for (const { error, more } of this.#alike.values())
      if (more > 0)
        this.#terminal.say(
          `sealift: ${this.#command}: ${error.code}: ${more} more (each with --verbose): ${printable(error.message)}`,
        );
    this.#alike.clear();
  }
}

/** What is the same in messages that name other files. */
function withoutNames(message: string, path: string): string {
  const name = basename(path);
  const rest = message.startsWith(`${name} `) ? message.slice(name.length) : message;
  return rest.replaceAll(/"(?:[^"\\]|\\.)*"|\S*\/\S*/g, '');
}

// A server quotes the names that it speaks of, which need not be those of this side.
function namesPlace(message: string, path: string): boolean {
  const name = basename(path);
  return message.includes('"') || message.includes(`/${name}`) || message.startsWith(`${name} `);
}
