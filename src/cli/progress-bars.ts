import { MultiBar, type SingleBar } from 'cli-progress';

import { systemClock } from '../clock.ts';
import type { TransferProgress } from '../client/transfer-progress.ts';
import { etaSeconds, RateMeter } from '../transfer/progress.ts';
import { printable } from './escape.ts';
import { formatDuration, formatSize } from './units.ts';

/** Columns of the bar itself. */
const BAR_COLUMNS = 16;
/** Columns of what stands behind the name: bar, percentage, bytes, rate and time. */
const FIGURES_COLUMNS = BAR_COLUMNS + 46;

interface BarState {
  name: string;
  doneBytes: number;
  totalBytes: number | null;
  rate: number;
}

/** A bar for the file under way and, if there are several files, one for all. Only for terminals. */
export class ProgressBars {
  readonly #bars: MultiBar;
  readonly #files: number;
  readonly #meter = new RateMeter(systemClock.monotonicMs());
  #file: SingleBar | undefined;
  #total: SingleBar | undefined;
  #finishedFiles = 0;
  #finishedBytes = 0;
  #movedBefore = 0;
  #totalBytes: number | null;

  /** `totalBytes` of all files together, null while they are still being counted. */
  constructor(files: number, totalBytes: number | null) {
    this.#files = files;
    this.#totalBytes = totalBytes;
    this.#bars = new MultiBar({
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      fps: 8,
      format: (_options, _params, payload: BarState) => formatBar(payload),
    });
  }

  start(name: string): void {
    this.#movedBefore = 0;
    this.#file = this.#bars.create(1, 0, {
      name: printable(name),
      doneBytes: 0,
      totalBytes: null,
      rate: 0,
    } satisfies BarState);
    if (this.#files > 1) {
      this.#total ??= this.#bars.create(1, 0, this.#totalState(0));
    }
  }

  update({ doneBytes, totalBytes, movedBytes }: TransferProgress): void {
    const nowMs = systemClock.monotonicMs();
    // Bytes found in place are no measure of the link.
    this.#meter.add(Math.max(0, movedBytes - this.#movedBefore), nowMs);
    this.#movedBefore = movedBytes;
    this.#file?.update(0, {
      doneBytes,
      totalBytes,
      rate: this.#meter.rate(nowMs),
    } satisfies Partial<BarState>);
    this.#total?.update(0, this.#totalState(doneBytes));
  }

  finish(bytes: number): void {
    this.#finishedFiles += 1;
    this.#finishedBytes += bytes;
    if (this.#file !== undefined) this.#bars.remove(this.#file);
    this.#total?.update(0, this.#totalState(0));
  }

  /** Puts a line above the bars. */
  line(line: string): void {
    // Lines wrap, bars do not: a long failure would lose its end, where the remedy stands.
    this.#bars.log(`\u001b[?7h${line}\u001b[?7l\n`);
    this.#bars.update();
  }

  stop(): void {
    this.#bars.stop();
  }

  #totalState(doneBytes: number): BarState {
    return {
      name: `${this.#finishedFiles} of ${this.#files} files`,
      doneBytes: this.#finishedBytes + doneBytes,
      totalBytes: this.#totalBytes,
      rate: this.#meter.rate(systemClock.monotonicMs()),
    };
  }
}

/** One bar as a line that fits the terminal. */
function formatBar({ name, doneBytes, totalBytes, rate }: BarState): string {
  const columns = process.stderr.columns || 80;
  const label = fit(name, Math.max(8, columns - FIGURES_COLUMNS - 1));
  const speed = `${formatSize(rate)}/s`.padStart(8);
  if (totalBytes === null) return `${label} ${formatSize(doneBytes).padStart(7)} ${speed}  still counting`;
  const share = totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes);
  const filled = Math.round(share * BAR_COLUMNS);
  const eta = etaSeconds(totalBytes - doneBytes, rate);
  return [
    label,
    ` [${'='.repeat(filled)}${' '.repeat(BAR_COLUMNS - filled)}]`,
    `${Math.floor(share * 100)}%`.padStart(5),
    `${formatSize(doneBytes)}/${formatSize(totalBytes)}`.padStart(14),
    speed,
    eta === undefined ? '' : `ETA ${formatDuration(Math.round(eta) * 1000)}`,
  ].join(' ');
}

// The end of a name tells more than its beginning, so that is what is kept of a long one.
function fit(name: string, columns: number): string {
  const width = columnsOf(name);
  if (width <= columns) return name + ' '.repeat(columns - width);
  let end = '';
  for (const character of [...name].reverse()) {
    if (columnsOf(character + end) >= columns) break;
    end = character + end;
  }
  return `…${end}`.padEnd(columns - columnsOf(end) + end.length);
}

/** Emoji and the characters of East Asia take two columns. */
function columnsOf(text: string): number {
  return [...text].reduce((columns, character) => columns + (WIDE.test(character) ? 2 : 1), 0);
}

const WIDE =
  /\p{Emoji_Presentation}|[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff01-\uff60]/u;
