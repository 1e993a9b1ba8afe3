// The client that works on the server, as the soak sees it: a process that is asked and answers.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

import type { LoadAnswer, LoadOptions, LoadRequest } from './load-process.ts';

export class SoakingClient {
  readonly #process: ChildProcess;
  #lastId = 0;

  constructor(options: LoadOptions, env: NodeJS.ProcessEnv) {
    const program = resolve(import.meta.dirname, 'load-process.ts');
    this.#process = fork(program, [JSON.stringify(options)], { env, execArgv: [] });
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  /** Resolves when it has done what it was asked for. Rejects if the process ends instead. */
  async ask(ask: LoadRequest['ask']): Promise<LoadAnswer> {
    const id = (this.#lastId += 1);
    const { promise, resolve: answered, reject } = Promise.withResolvers<LoadAnswer>();
    const onMessage = (answer: LoadAnswer) => {
      if (answer.id === id) answered(answer);
    };
    const onExit = () => reject(new Error('The process of the client ended.'));
    this.#process.on('message', onMessage).once('exit', onExit);
    this.#process.send({ id, ask } satisfies LoadRequest);
    return promise.finally(() => this.#process.off('message', onMessage).off('exit', onExit));
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill();
    await once(this.#process, 'exit');
  }
}
