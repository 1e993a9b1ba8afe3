import { Worker } from 'node:worker_threads';

/** Starts the thread whose file, beside this one, is called `name` without its ending. */
export function startThread(name: string, workerData?: unknown): Worker {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  // What the process was told to load or to watch is not meant for a thread.
  return new Worker(new URL(`./${name}.${ending}`, import.meta.url), { workerData, execArgv: [] });
}
