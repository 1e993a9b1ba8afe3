import type { Socket } from 'node:net';

import type { Clock } from '../clock.ts';
import { isSealiftError, systemCode } from '../errors.ts';
import { seededRandom, type Random } from '../random.ts';
import type { CutMode, Direction, Grant } from './fault-cut.ts';
import type { FaultEvent } from './fault-event.ts';
import { FaultPipe } from './fault-pipe.ts';
import type { Faults } from './fault-settings.ts';

export interface FaultConnectionOptions {
  /** Counted from 1. */
  number: number;
  client: Socket;
  target: Socket;
  clock: Clock;
  random: Random;
  faults: () => { settings: Faults; changed: Promise<void> };
  /** As in `FaultPipeOptions`, with the connection that asks. */
  spend: (connection: FaultConnection, direction: Direction, wanted: number) => Grant;
  /** Cuts this connection, or all. */
  cut: (connection: FaultConnection, mode: CutMode) => void;
  onClosed: (connection: FaultConnection) => void;
  onEvent: (event: FaultEvent) => void;
}

/** One connection through the proxy: two sockets and a pipe each way. */
export class FaultConnection {
  /** Bytes forwarded each way. */
  readonly bytes: Record<Direction, number> = { up: 0, down: 0 };
  /** Its cut is decided, and happens when the last bytes are out. */
  isDoomed = false;
  #isSilent = false;
  #isOver = false;
  readonly #options: FaultConnectionOptions;
  readonly #sockets: readonly [client: Socket, target: Socket];
  readonly #abort = new AbortController();
  readonly #closed = Promise.withResolvers<void>();

  constructor(options: FaultConnectionOptions) {
    const { client, target, onClosed } = options;
    this.#options = options;
    this.#sockets = [client, target];
    for (const [socket, other] of [
      [client, target],
      [target, client],
    ] as const) {
      // What happened is told by the close that follows.
      socket.on('error', () => {});
      socket.once('close', () => {
        if (!endedWell(socket) && !this.#isSilent) this.#reset(other);
        if (this.#isOver || !client.closed || !target.closed) return;
        this.#isOver = true;
        this.#abort.abort();
        this.#tell({ kind: 'closed' });
        onClosed(this);
        this.#closed.resolve();
      });
    }
    const onUnreachable = (error: Error) =>
      this.#tell({ kind: 'unreachable', reason: systemCode(error) ?? error.message });
    target.once('error', onUnreachable).once('connect', () => target.off('error', onUnreachable));
    this.#tell({ kind: 'opened' });
    this.#carry('up', client, target);
    this.#carry('down', target, client);
  }

  /** Ends it as `mode` says. What is still on its way through the proxy is lost. */
  cut(mode: CutMode): void {
    if (!this.#abort.signal.aborted) this.#tell({ kind: 'cut', mode });
    this.#abort.abort();
    this.#isSilent = mode === 'silence';
    for (const socket of this.#sockets) {
      if (mode === 'silence') {
        socket.pause();
      } else if (mode === 'rst') {
        this.#reset(socket);
      } else {
        socket.end();
        // Read on, to notice when the other side closes too.
        socket.resume();
      }
    }
  }

  /** Resolves when both sockets are closed, and that is told; never rejects. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Closes both sockets at once. */
  destroy(): void {
    this.#abort.abort();
    for (const socket of this.#sockets) socket.destroy();
  }

  #tell(event: Pick<FaultEvent, 'kind' | 'direction' | 'mode' | 'reason'>): void {
    const { number, onEvent } = this.#options;
    onEvent({ connection: number, bytes: { ...this.bytes }, ...event });
  }

  #carry(direction: Direction, source: Socket, destination: Socket): void {
    const options = this.#options;
    const pipe = new FaultPipe({
      ...options,
      // Of its own, so that what other connections do changes nothing.
      random: seededRandom(options.random.bytes(4).readUInt32BE()),
      source,
      destination,
      direction,
      signal: this.#abort.signal,
      spend: (wanted) => options.spend(this, direction, wanted),
      cut: (mode) => options.cut(this, mode),
      tell: (kind) => this.#tell({ kind, direction }),
    });
    pipe.run().catch((error: unknown) => {
      if (!isSealiftError(error, 'aborted')) throw error;
    });
  }

  #reset(socket: Socket): void {
    // One that is still connecting is reset as soon as there is somebody to reset.
    if (!socket.destroyed) socket.resetAndDestroy();
  }
}

function endedWell(socket: Socket): boolean {
  return socket.readableEnded && socket.writableFinished;
}
