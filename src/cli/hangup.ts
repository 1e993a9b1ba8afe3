import { closeSync, openSync } from 'node:fs';

/**
 * Resolves when `signal` fires. Meanwhile SIGHUP, by which an operator has a server read its files again, calls
 * `onHangup`; but whoever has closed the terminal that it runs in wants it to end, and then it resolves as well.
 */
export async function untilStopped(signal: AbortSignal, onHangup: () => void): Promise<void> {
  const hadTerminal = hasTerminal();
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  const onSignal = () => {
    if (hadTerminal && !hasTerminal()) stop();
    else onHangup();
  };
  process.on('SIGHUP', onSignal);
  signal.addEventListener('abort', () => stop(), { once: true });
  if (signal.aborted) stop();
  await stopped;
  process.off('SIGHUP', onSignal);
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
