import type { EventEmitter } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import { serveSmallFiles } from '../../../src/storage/fs/small-file-service.ts';
import type { SmallFileThread } from '../../../src/storage/fs/small-files.ts';

/** Serves small files in this thread: begun at once, and its lines are counted. */
export function beginInSameThread(root: string): SmallFileThread {
  const { port1, port2 } = new MessageChannel();
  void serveSmallFiles(port2, root);
  // What a thread does when it ends.
  port1.once('close', () => (port1 as unknown as EventEmitter).emit('exit'));
  return Object.assign(port1, {
    terminate: () => {
      port1.close();
      return Promise.resolve(0);
    },
  }) as unknown as SmallFileThread;
}
