import { EventEmitter } from 'node:events';

/** What a thread looks like to whoever began it; what it does is up to the test. */
export class FakeThread extends EventEmitter {
  /** Whether it keeps the process alive. */
  isRefed = true;

  /** As whoever needs a thread begins one: it is ready in the next turn. */
  begin<T>(): T {
    setImmediate(() => this.emit('message', 'ready'));
    return this as unknown as T;
  }

  ref(): void {
    this.isRefed = true;
  }

  unref(): void {
    this.isRefed = false;
  }

  terminate(): Promise<number> {
    this.emit('exit');
    return Promise.resolve(0);
  }
}
