/** So many units of something (requests, bytes) at once; who wants more waits, in order. */
export class Budget {
  readonly #total: number;
  readonly #waiting: { amount: number; admit: () => void }[] = [];
  #free: number;

  constructor(total: number) {
    this.#total = total;
    this.#free = total;
  }

  /** Resolves with the function that gives `amount` back, once so much is free. More than there is counts as all. */
  async take(amount: number): Promise<() => void> {
    const taken = Math.min(amount, this.#total);
    if (this.#waiting.length > 0 || taken > this.#free) {
      await new Promise<void>((admit) => this.#waiting.push({ amount: taken, admit }));
    } else {
      this.#free -= taken;
    }
    let isGiven = false;
    return () => {
      if (isGiven) return;
      isGiven = true;
      this.#free += taken;
      this.#admitWaiting();
    };
  }

  #admitWaiting(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && next.amount <= this.#free;
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#free -= next.amount;
      next.admit();
    }
  }
}
