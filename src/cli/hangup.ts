import { closeSync, openSync } from 'node:fs';

/**
 * Resolves when `signal` fires. Meanwhile SIGHUP, by which an operator has a server read its files again, calls
 * `onHangup`; but whoever has closed the terminal that it runs in wants it to end, and then it resolves as well.
 * `hangups` may have begun before; what came by then counts now.
 */
export async function untilStopped(
  signal: AbortSignal,
  onHangup: () => void,
  hangups = new Hangups(),
): Promise<void> {
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  hangups.tell((isTerminalGone) => {
    if (isTerminalGone) stop();
    else onHangup();
  });
  signal.addEventListener('abort', () => stop(), { once: true });
  if (signal.aborted) stop();
  await stopped;
  hangups.close();
}

/** Takes SIGHUP for itself, until it is closed: a server that is only starting is not ended by it either. */
export class Hangups {
  readonly #hadTerminal = hasTerminal();
  #isPending = false;
  #listener: ((isTerminalGone: boolean) => void) | undefined;

  constructor() {
    process.on('SIGHUP', this.#onSignal);
  }

  /** Calls `listener` at every signal from now on, and at once if one came before. */
  tell(listener: (isTerminalGone: boolean) => void): void {
    this.#listener = listener;
    if (this.#isPending) this.#onSignal();
  }

  /** May be called again. */
  close(): void {
    process.off('SIGHUP', this.#onSignal);
  }

  readonly #onSignal = (): void => {
    this.#isPending = this.#listener === undefined;
    this.#listener?.(this.#hadTerminal && !hasTerminal());
  };
}

/** Whether there is a terminal that could send signals; a file of this name stands for it as long as it is open. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
