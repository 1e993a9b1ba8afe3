import { SealiftError } from '../errors.ts';

/** What an option has to be, as the end of a sentence that says that it is not, and whether a value is that. */
type Range = readonly [is: string, holds: (value: unknown) => boolean];

const text: Range = ['a text', (value) => typeof value === 'string'];
const path: Range = ['the path of a file or directory', (value) => typeof value === 'string' && value !== ''];
// Infinity is one: it never comes, or is never reached.
const amount: Range = ['a number from 0 up', (value) => typeof value === 'number' && value >= 0];
const whole = (min: number, max: number): Range => [
  `a whole number from ${min} to ${max}`,
  (value) => Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max,
];
const oneOf = (...values: string[]): Range => [
  `one of ${values.join(', ')}`,
  (value) => values.includes(value as string),
];

/** Only what would otherwise be noticed when a client comes, or never. */
const RANGES: Readonly<Record<string, Range>> = {
  root: path,
  host: text,
  port: whole(0, 65_535),
  socketPath: path,
  minVersion: oneOf('TLSv1.2', 'TLSv1.3'),
  anonymous: oneOf('none', 'read', 'write'),
  agent: text,
  // Each client is told it, as a whole number.
  idleTimeoutMs: whole(1, Number.MAX_SAFE_INTEGER),
  handshakeTimeoutMs: amount,
  helloTimeoutMs: amount,
  headerTimeoutMs: amount,
  stallTimeoutMs: amount,
  keepVersionsMs: amount,
  maxConnections: amount,
  maxConnectionsPerAddress: amount,
  maxUnauthenticated: amount,
  maxUnauthenticatedPerAddress: amount,
  maxOpenUploadFiles: amount,
};

/** Throws `bad-configuration` where an option has a value with which nobody could be served, as only plain JavaScript or a calculation gives it. */
export function assertInRange(options: { root: string }): void {
  if ((options.root as unknown) === undefined)
    throw new SealiftError('bad-configuration', 'A server needs a root: the directory to serve.');
  for (const [name, [is, holds]] of Object.entries(RANGES)) {
    const value = (options as Readonly<Record<string, unknown>>)[name];
    if (value !== undefined && !holds(value))
      throw new SealiftError('bad-configuration', `The option ${name} of the server is not ${is}.`);
  }
}
