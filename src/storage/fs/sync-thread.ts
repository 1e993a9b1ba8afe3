// The thread of `FileSyncs`.
import { parentPort } from 'node:worker_threads';

import { systemClock } from '../../clock.ts';
import { syncWaiting } from './blocking-files.ts';
import type { SyncedFiles } from './file-syncs.ts';

if (parentPort === null) throw new Error('This is no program, but a thread of one.');
const port = parentPort;

port.on('message', (paths: readonly string[]) => {
  const beganMs = systemClock.monotonicMs();
  const failures: SyncedFiles['failures'] = [];
  for (const [index, path] of paths.entries()) {
    try {
      syncWaiting(path);
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      failures.push({ index, code, message });
    }
  }
  port.postMessage({ failures, tookMs: systemClock.monotonicMs() - beganMs } satisfies SyncedFiles);
});
port.postMessage('ready');
