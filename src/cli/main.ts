#!/usr/bin/env node
import { unsupportedNodeMessage } from './node-version.ts';

const message = unsupportedNodeMessage(process.versions.node);
if (message !== undefined) {
  console.error(message);
  process.exit(1);
}

// Loaded only now, because an old Node could not even read the rest.
const { isDiskFull, SealiftError } = await import('../errors.ts');
const { EXIT, exitCodeOf } = await import('./exit-codes.ts');
const { run } = await import('./program.ts');

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // A command may take this one for itself, as servers do, which read their files again.
    if (signal === 'SIGHUP' && process.listenerCount(signal) > 1) return;
    // The first lets work under way end well, the second ends at once.
    if (stop.signal.aborted) process.exit(signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated);
    stop.abort(new SealiftError('aborted', 'The program was told to stop.', { details: { signal } }));
  });
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Each line that follows fails as well, and who told us to stop need not read on.
  if (stop.signal.aborted) return;
  const failure = new SealiftError(
    isDiskFull(error) ? 'local-no-space' : 'local-file',
    `The output cannot be written (${error.code ?? error.message}).`,
    { cause: error },
  );
  // What ended the run before is what scripts are to hear of.
  process.exitCode ||= exitCodeOf(failure, false);
  // Whoever reads our output may leave before its end, as `head` does: nothing that we could tell anybody.
  if (error.code !== 'EPIPE') console.error(`sealift: ${failure.message}`);
  stop.abort(failure);
});
// A line of progress that nobody can have is no reason to end a backup, and there is nowhere to tell of it.
process.stderr.on('error', () => undefined);

const { exitCode, isCutShort } = await run(process.argv, stop.signal);
if (exitCode !== EXIT.done) process.exitCode = exitCode;
// What is written still would keep us alive for as long as its reader stands still.
if (isCutShort || stop.signal.aborted) process.exit();
