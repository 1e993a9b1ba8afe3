import type { Random } from '../../../src/random.ts';

/** A loss of power: what it leaves of what was not synced is decided piece by piece. */
export interface PowerFailure {
  random: Random;
  /** How likely a piece that nobody had synced has reached the disk all the same, from 0 to 1. */
  survival: number;
}

/** Whether the next piece that was not synced is on the disk. */
export function survives({ random, survival }: PowerFailure): boolean {
  return random.fraction() < survival;
}

/** A value as programs see it, as the disk has it, and what it was in between. */
export class Kept<T> {
  #onDisk: T;
  #since: T[] = [];

  constructor(onDisk: T) {
    this.#onDisk = onDisk;
  }

  get now(): T {
    return this.#since.at(-1) ?? this.#onDisk;
  }

  get onDisk(): T {
    return this.#onDisk;
  }

  set(value: T): void {
    this.#since.push(value);
  }

  sync(): void {
    this.#onDisk = this.now;
    this.#since = [];
  }

  /** What is there when the power comes back: the value on the disk, or one of the later ones. */
  after(failure: PowerFailure): T {
    if (this.#since.length === 0 || !survives(failure)) return this.#onDisk;
    // The last one, or that of an earlier moment at which it was written.
    const { random } = failure;
    return survives(failure)
      ? this.now
      : (this.#since[Math.floor(random.fraction() * this.#since.length)] as T);
  }
}
