/** How many connections there are, in all and from each address. */
export class ConnectionCounts {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  #total = 0;

  constructor(max: number, maxPerAddress: number) {
    this.#max = max;
    this.#maxPerAddress = maxPerAddress;
  }

  /** Counts a connection; false, and nothing counted, if there are too many. */
  enter(address: string): boolean {
    const count = this.#byAddress.get(address) ?? 0;
    if (this.#total >= this.#max || count >= this.#maxPerAddress) return false;
    this.#total += 1;
    this.#byAddress.set(address, count + 1);
    return true;
  }

  leave(address: string): void {
    const count = (this.#byAddress.get(address) ?? 1) - 1;
    this.#total -= 1;
    if (count > 0) this.#byAddress.set(address, count);
    else this.#byAddress.delete(address);
  }
}
