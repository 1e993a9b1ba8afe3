#!/usr/bin/env node
import { unsupportedNodeMessage } from './node-version.ts';

const message = unsupportedNodeMessage(process.versions.node);
if (message !== undefined) {
  console.error(message);
  process.exit(1);
}

// Loaded only now, because an old Node could not even read the rest.
const { SealiftError } = await import('../errors.ts');
const { EXIT } = await import('./exit-codes.ts');
const { run } = await import('./program.ts');

const stop = new AbortController();
let signals = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // A command may take this one for itself, as servers do, which read their files again.
    if (signal === 'SIGHUP' && process.listenerCount(signal) > 1) return;
    signals += 1;
    // The first lets work under way end well, the second ends at once.
    if (signals > 1) process.exit(signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated);
    stop.abort(new SealiftError('aborted', 'The program was told to stop.', { details: { signal } }));
  });
}

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever reads our output may leave before its end, as `head` does: nothing that we could tell anybody.
    if (error.code === 'EPIPE') process.exit(EXIT.failure);
    console.error(`sealift: The output cannot be written (${error.code ?? error.message}).`);
    process.exit(error.code === 'ENOSPC' ? EXIT.noSpace : EXIT.failure);
  });
}

process.exitCode = await run(process.argv, stop.signal);
