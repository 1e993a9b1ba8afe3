/** How many connections there may be at once. */
export interface ConnectionCaps {
  total: number;
  perAddress: number;
  /** Those whose hello is not finished, from the accepted connection on. */
  unauthenticated: number;
  unauthenticatedPerAddress: number;
}

interface Count {
  open: number;
  authenticated: number;
}

/** How many connections there are, in all and from each address, and how many of them have said who they are. */
export class ConnectionCounts {
  readonly #caps: ConnectionCaps;
  readonly #byAddress = new Map<string, Count>();
  readonly #all: Count = { open: 0, authenticated: 0 };

  constructor(caps: ConnectionCaps) {
    this.#caps = caps;
  }

  /** Counts a connection; false, and nothing counted, if there are too many. */
  enter(address: string): boolean {
    const caps = this.#caps;
    const count = this.#byAddress.get(address) ?? { open: 0, authenticated: 0 };
    if (this.#all.open >= caps.total || count.open >= caps.perAddress) return false;
    if (strangers(this.#all) >= caps.unauthenticated || strangers(count) >= caps.unauthenticatedPerAddress)
      return false;
    this.#byAddress.set(address, count);
    this.#change(address, 'open', 1);
    return true;
  }

  leave(address: string): void {
    this.#change(address, 'open', -1);
  }

  /** One of the connections has finished its hello; `leaveAuthenticated` has to be called when it ends. */
  enterAuthenticated(address: string): void {
    this.#change(address, 'authenticated', 1);
  }

  leaveAuthenticated(address: string): void {
    this.#change(address, 'authenticated', -1);
  }

  // The two ends of a connection are noticed one after the other.
  #change(address: string, what: keyof Count, by: 1 | -1): void {
    const count = this.#byAddress.get(address);
    if (count === undefined) return;
    count[what] += by;
    this.#all[what] += by;
    if (count.open === 0 && count.authenticated === 0) this.#byAddress.delete(address);
  }
}

function strangers({ open, authenticated }: Count): number {
  return open - authenticated;
}
