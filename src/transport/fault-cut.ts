/** `up` is from whoever connected to the target, `down` is back. */
export type Direction = 'up' | 'down';

/**
 * How a connection is cut: `fin` ends both sides as if all were said (what a process leaves that exits), `rst` resets
 * both (a crash, a firewall), `silence` carries nothing any more and closes nothing (a pulled cable).
 */
export type CutMode = 'fin' | 'rst' | 'silence';

export interface Cut {
  /** Exactly this many bytes are forwarded, then the connection is cut; 0 cuts it before the first. */
  readonly afterBytes: number;
  /** Default `rst`. */
  readonly mode?: CutMode;
  /** Which bytes count. Default `both`, added up. */
  readonly direction?: Direction | 'both';
  /**
   * `connection` (default): each connection is cut after so many bytes of its own. `proxy`: the bytes of all
   * connections are added up, and all connections are cut; then counting begins again.
   */
  readonly counting?: 'connection' | 'proxy';
  /** How often to cut, from when this was set. Default: without end. */
  readonly times?: number;
}

/** What may be forwarded now, and how to cut once that is out; no mode: go on. */
export interface Grant {
  granted: number;
  cut: CutMode | undefined;
}

/** Counts bytes towards the next cut. */
export class CutCounter {
  readonly #cut: Cut | undefined;
  #timesLeft: number;
  /** Bytes of all connections since the last cut. */
  #sharedBytes = 0;

  constructor(cut: Cut | undefined) {
    this.#cut = cut;
    this.#timesLeft = cut?.times ?? Infinity;
  }

  /** Whether a cut ends all connections at once. */
  get concernsAll(): boolean {
    return this.#cut?.counting === 'proxy';
  }

  /** Grants up to `wanted` bytes to a connection that has forwarded `bytes` before. */
  grant(direction: Direction, wanted: number, bytes: Readonly<Record<Direction, number>>): Grant {
    const cut = this.#cut;
    const counts = cut && this.#timesLeft > 0 && [direction, 'both', undefined].includes(cut.direction);
    if (!counts) return { granted: wanted, cut: undefined };
    const left = Math.max(0, cut.afterBytes - this.#counted(cut, bytes));
    const granted = Math.min(wanted, left);
    this.#sharedBytes += granted;
    if (granted < left) return { granted, cut: undefined };
    this.#timesLeft -= 1;
    this.#sharedBytes = 0;
    return { granted, cut: cut.mode ?? 'rst' };
  }

  #counted({ direction = 'both', counting }: Cut, bytes: Readonly<Record<Direction, number>>): number {
    if (counting === 'proxy') return this.#sharedBytes;
    return direction === 'both' ? bytes.up + bytes.down : bytes[direction];
  }
}
