import type { TransferProgress } from '../client/transfer-progress.ts';
import type { Totals } from '../client/tree/plan-tree.ts';
import { systemClock } from '../clock.ts';
import { RateMeter } from '../transfer/progress.ts';
import type { ProgressBar, ProgressBars } from './progress-bars.ts';
import type { Terminal } from './terminal.ts';

/** How far apart `progress` events are for programs, in milliseconds. */
const PROGRESS_EVENT_MS = 1_000;
/** Bars of single files that are shown at once: more would push everything else off the screen. */
const MAX_FILE_BARS = 5;

/** One file that is being moved. */
export interface ShownFile {
  update(progress: TransferProgress): void;
  /** It is over; `bytes` of it are done. Only the first call counts. */
  finish(bytes: number): void;
}

/** Shows how far a run is: bars on a terminal, events for programs. Nothing that is shown runs backwards. */
export class TransferDisplay {
  readonly #terminal: Terminal;
  readonly #bars: ProgressBars | undefined;
  readonly #meter = new RateMeter(systemClock.monotonicMs());
  #total: ProgressBar | undefined;
  #shownFiles = 0;
  #files = 0;
  #bytes: number | null = 0;
  /** Trees that are still being looked at. */
  #counting = 0;
  #finishedFiles = 0;
  #doneBytes = 0;
  #shownBytes = 0;
  #movedBytes = 0;
  #nextEventMs = systemClock.monotonicMs() + PROGRESS_EVENT_MS;

  /** The display that suits `terminal`. */
  static async on(terminal: Terminal): Promise<TransferDisplay> {
    if (!terminal.showsBars) return new TransferDisplay(terminal);
    const { ProgressBars } = await import('./progress-bars.ts');
    return new TransferDisplay(terminal, new ProgressBars());
  }

  constructor(terminal: Terminal, bars?: ProgressBars) {
    this.#terminal = terminal;
    this.#bars = bars;
    terminal.bars = bars;
  }

  /** Files that are to be moved, as far as is known. */
  get files(): number {
    return this.#files;
  }

  /** Bytes of these; null while that is not known. */
  get bytes(): number | null {
    return this.#counting > 0 ? null : this.#bytes;
  }

  /** More is to be moved; `bytes` null: nobody knows how much. */
  count(files: number, bytes: number | null): void {
    this.#files += files;
    this.#bytes = this.#bytes === null || bytes === null ? null : this.#bytes + bytes;
  }

  /** Begins to count a tree; the returned function takes what was found so far. */
  countTree(): (totals: Totals) => void {
    let before = { files: 0, bytes: 0 };
    let isCounting = true;
    this.#counting += 1;
    return ({ files, bytes, isExact }) => {
      this.count(files - before.files, bytes - before.bytes);
      before = { files, bytes };
      if (isExact && isCounting) this.#counting -= 1;
      isCounting &&= !isExact;
      this.#show();
    };
  }

  /** A file of `bytes`, if that is known, is begun. `hasBar` false: it is too small to be shown by itself. */
  file(
    name: string,
    { bytes = null, hasBar = true }: { bytes?: number | null; hasBar?: boolean } = {},
  ): ShownFile {
    // The total stands above all files.
    this.#show();
    const bar = hasBar ? this.#fileBar(name, bytes) : undefined;
    const meter = new RateMeter(systemClock.monotonicMs());
    let last: TransferProgress = { totalBytes: null, doneBytes: 0, resumedBytes: 0, movedBytes: 0 };
    let isOver = false;
    let isCounted = false;
    // Together with its bytes: of small files, thousands are sent before the first receipt.
    const countFile = () => {
      if (!isCounted) this.#finishedFiles += 1;
      isCounted = true;
    };
    const advance = (doneBytes: number, movedBytes: number) => {
      this.#doneBytes += doneBytes - last.doneBytes;
      // Bytes found in place are no measure of the link.
      const moved = Math.max(0, movedBytes - last.movedBytes);
      this.#movedBytes += moved;
      for (const each of [meter, this.#meter]) each.add(moved, systemClock.monotonicMs());
    };
    return {
      update: (progress) => {
        if (isOver) return;
        advance(progress.doneBytes, progress.movedBytes);
        last = progress;
        bar?.update({ ...progress, rate: meter.rate(systemClock.monotonicMs()) });
        // What is sent may have to wait until it counts, and others have something to show.
        if (progress.doneBytes === progress.totalBytes) {
          countFile();
          bar?.remove();
        }
        this.#show();
        this.#tell(name, progress);
      },
      finish: (bytes) => {
        if (isOver) return;
        isOver = true;
        advance(bytes, last.movedBytes);
        countFile();
        bar?.remove();
        this.#show();
      },
    };
  }

  /** Takes the bars away. May be called again. */
  stop(): void {
    this.#bars?.stop();
    this.#terminal.bars = undefined;
  }

  #fileBar(name: string, bytes: number | null): ProgressBar | undefined {
    if (this.#shownFiles === MAX_FILE_BARS) return undefined;
    const bar = this.#bars?.add(name);
    if (bar === undefined) return undefined;
    this.#shownFiles += 1;
    bar.update({ totalBytes: bytes });
    let isShown = true;
    return {
      update: (state) => isShown && bar.update(state),
      remove: () => {
        if (!isShown) return;
        isShown = false;
        this.#shownFiles -= 1;
        bar.remove();
      },
    };
  }

  #show(): void {
    this.#shownBytes = Math.max(this.#shownBytes, this.#doneBytes);
    if (this.#bars === undefined || (this.#files <= 1 && this.#counting === 0)) return;
    this.#total ??= this.#bars.add('');
    this.#total.update({
      name: `${this.#finishedFiles} of ${this.#files}${this.#counting > 0 ? '+' : ''} files`,
      doneBytes: this.#shownBytes,
      totalBytes: this.bytes === null ? null : Math.max(this.bytes, this.#shownBytes),
      rate: this.#meter.rate(systemClock.monotonicMs()),
    });
  }

  #tell(path: string, progress: TransferProgress): void {
    if (systemClock.monotonicMs() < this.#nextEventMs) return;
    this.#nextEventMs = systemClock.monotonicMs() + PROGRESS_EVENT_MS;
    const all = {
      files: this.#finishedFiles,
      totalFiles: this.#files,
      doneBytes: this.#shownBytes,
      totalBytes: this.bytes,
      movedBytes: this.#movedBytes,
    };
    this.#terminal.event('progress', { path, ...progress, ...(this.#files > 1 ? { all } : {}) });
  }
}
