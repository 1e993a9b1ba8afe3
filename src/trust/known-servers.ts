import { SealiftError } from '../errors.ts';
import type { FileLockOptions } from './file-lock.ts';
import { isPin } from './pins.ts';
import { formatAddress, parseAddress, type Address } from '../transport/address.ts';
import { readPrivateFile, updatePrivateFile } from './private-file.ts';

/**
 * The servers whose keys a user has accepted, in a text file that a person may edit: a line each,
 * `host:port pin [pin…]` (places.ts, pins.ts), with `#` before a comment. Lines of the same place add up.
 */
export class KnownServers {
  readonly #file: string;
  readonly #options: FileLockOptions;
  #lines: readonly Line[];

  private constructor(file: string, lines: readonly Line[], options: FileLockOptions) {
    this.#file = file;
    this.#lines = lines;
    this.#options = options;
  }

  /** Reads `file`; one that does not exist knows no server. A line that makes no sense is `bad-configuration`. */
  static async load(file: string, options: FileLockOptions = {}): Promise<KnownServers> {
    return new KnownServers(file, parseLines(await readPrivateFile(file), file), options);
  }

  /** The accepted pins of a server as of the last load or change; empty if it is unknown. */
  pinsFor(place: Address): readonly string[] {
    const name = formatAddress(place);
    return [...new Set(this.#lines.flatMap((line) => (line.place === name ? line.pins : [])))];
  }

  /**
   * Accepts `pin` for a server from now on: beside those accepted before, or with `replace` instead of them, which
   * is right when the server's key has changed. Comments and other servers stay as they are in the file.
   */
  async trust(place: Address, pin: string, { replace = false }: { replace?: boolean } = {}): Promise<void> {
    const name = formatAddress(place);
    if (!isPin(pin)) throw new SealiftError('invalid-argument', `${JSON.stringify(pin)} is not a pin.`);
    if (!parseAddress(name))
      throw new SealiftError('invalid-argument', `${JSON.stringify(name)} is not a place.`);
    await this.#change((lines) => {
      const first = lines.find((line) => line.place === name);
      if (!first) return [...lines, lineOf(name, [pin])];
      const known = lines.filter((line) => line.place === name).flatMap((line) => line.pins);
      if (!replace && known.includes(pin)) return lines;
      const renewed = lineOf(name, replace ? [pin] : [...first.pins, pin], first.comment);
      const kept = replace ? lines.filter((line) => line === first || line.place !== name) : lines;
      return kept.map((line) => (line === first ? renewed : line));
    });
  }

  /** Forgets a server; false if it was not known. */
  async forget(place: Address): Promise<boolean> {
    const name = formatAddress(place);
    let found = false;
    await this.#change((lines) => {
      found = lines.some((line) => line.place === name);
      return lines.filter((line) => line.place !== name);
    });
    return found;
  }

  // From the file as it is now: another process may have written since it was loaded.
  async #change(change: (lines: readonly Line[]) => readonly Line[]): Promise<void> {
    const update = (text: string | undefined) => {
      this.#lines = change(parseLines(text, this.#file));
      return text === undefined && this.#lines.length === 0 ? undefined : formatLines(this.#lines);
    };
    await updatePrivateFile(this.#file, update, this.#options);
  }
}

interface Line {
  /** As it stands in the file. */
  text: string;
  /** In its canonical form; undefined for a comment or an empty line. */
  place: string | undefined;
  pins: readonly string[];
  /** What follows the pins, with its `#`; empty if nothing does. */
  comment: string;
}

function parseLines(text: string | undefined, file: string): Line[] {
  if (text === undefined || text === '') return [];
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line, index) => parseLine(line, `${file}, line ${index + 1}`));
}

function parseLine(text: string, where: string): Line {
  const [, words = '', comment = ''] = /^((?:(?!(?:^|\s)#).)*)\s*(#.*)?$/s.exec(text) ?? [];
  const [first, ...pins] = words.split(/\s+/).filter((word) => word !== '');
  if (first === undefined) return { text, place: undefined, pins: [], comment };
  const place = parseAddress(first);
  if (!place)
    throw malformed(where, `${JSON.stringify(first)} is no place (host:port, [::1]:port or unix:/path).`);
  if (pins.length === 0) throw malformed(where, `no pin follows ${first}.`);
  const wrong = pins.find((pin) => !isPin(pin));
  if (wrong !== undefined) throw malformed(where, `${JSON.stringify(wrong)} is not a pin (sha256//BASE64).`);
  return { text, place: formatAddress(place), pins, comment };
}

function lineOf(place: string, pins: readonly string[], comment = ''): Line {
  const text = [place, ...pins, ...(comment === '' ? [] : [comment])].join(' ');
  return { text, place, pins, comment };
}

function formatLines(lines: readonly Line[]): string {
  return lines.map((line) => `${line.text}\n`).join('');
}

function malformed(where: string, problem: string): SealiftError {
  return new SealiftError('bad-configuration', `${where}: ${problem}`, { hint: 'Mend or remove this line.' });
}
