import { MultiBar, type SingleBar } from 'cli-progress';

import { etaSeconds } from '../transfer/progress.ts';
import { printable } from './escape.ts';
import { formatDuration, formatSize } from '../units.ts';

/** Columns of the bar itself. */
const BAR_COLUMNS = 16;
/** Columns of what stands behind the name: bar, percentage, bytes, rate and time. */
const FIGURES_COLUMNS = BAR_COLUMNS + 46;

/** What a bar shows; `totalBytes` null: still counting, or never known. */
export interface BarState {
  name: string;
  doneBytes: number;
  totalBytes: number | null;
  rate: number;
  isIdle?: false;
}

interface NoBar {
  isIdle: true;
}

/** One line that shows how far something is. */
export interface ProgressBar {
  update(state: Partial<BarState>): void;
  remove(): void;
}

/** Bars one below the other, at the bottom of a terminal. The line of one that is over is empty until another needs it: lines that come and go would leave their traces. */
export class ProgressBars {
  readonly #bars: MultiBar;
  readonly #idle: SingleBar[] = [];

  constructor() {
    this.#bars = new MultiBar({
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      fps: 8,
      format: (_options, _params, payload: BarState | NoBar) =>
        payload.isIdle === true ? '' : formatBar(payload),
    });
  }

  /** A bar in the first line that is free. */
  add(name: string): ProgressBar {
    const bar = this.#idle.shift() ?? this.#bars.create(1, 0, { isIdle: true });
    const state: BarState = {
      name: printable(name),
      doneBytes: 0,
      totalBytes: null,
      rate: 0,
      isIdle: false,
    };
    bar.update(0, state);
    return {
      update: (change) => bar.update(0, Object.assign(state, change)),
      remove: () => {
        bar.update(0, { isIdle: true });
        this.#idle.push(bar);
      },
    };
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
    // What is not done is never said to take no time.
    eta === undefined || eta === 0 ? '' : `ETA ${formatDuration(Math.ceil(eta) * 1000)}`,
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
