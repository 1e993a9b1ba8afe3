// The line that tells how far it is.
import { formatDuration } from '../../src/units.ts';

const EVERY_MS = process.stderr.isTTY ? 1_000 : 30_000;

export class LiveLine {
  readonly #timer: NodeJS.Timeout;

  /** `now` tells what was done so far, in a few words. */
  constructor(seconds: number, now: () => Promise<string>) {
    const beganMs = performance.now();
    this.#timer = setInterval(() => {
      void now().then(
        (text) =>
          say(
            `${formatDuration(performance.now() - beganMs)} of ${formatDuration(seconds * 1_000)}: ${text}`,
          ),
        // What ended is told elsewhere.
        () => undefined,
      );
    }, EVERY_MS);
  }

  /** Takes it away. May be called again. */
  close(): void {
    clearInterval(this.#timer);
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}

function say(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
}
