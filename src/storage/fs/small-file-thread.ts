// The thread of `SmallFiles`.
import { parentPort, workerData } from 'node:worker_threads';

import { serveSmallFiles } from './small-file-service.ts';

if (parentPort === null) throw new Error('This is no program, but a thread of one.');
await serveSmallFiles(parentPort, workerData as string);
