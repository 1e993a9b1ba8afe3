import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Terminal } from '../../src/cli/terminal.ts';
import { TransferDisplay } from '../../src/cli/transfer-display.ts';
import { systemClock } from '../../src/clock.ts';
import type { Event } from '../support/running-process.ts';

let nowMs: number;
let told: Event[];
let display: TransferDisplay;

beforeEach(() => {
  nowMs = 0;
  told = [];
  vi.spyOn(systemClock, 'monotonicMs').mockImplementation(() => nowMs);
  const options = { json: false, quiet: true, verbose: false, progress: false, dataOnStdout: false };
  const terminal = new Terminal(options);
  terminal.addListener((type, fields) => told.push({ type, ...fields }));
  display = new TransferDisplay(terminal);
});
afterEach(() => void vi.restoreAllMocks());

const progress = (doneBytes: number, resumedBytes = 0) => ({
  ...{ totalBytes: 100, doneBytes, resumedBytes, movedBytes: doneBytes - resumedBytes },
});
const totals = () => told.map(({ all }) => all as Record<string, number | null>);

test('what is to be moved is known once every tree is counted', () => {
  display.count(1, 10);
  expect([display.files, display.bytes]).toEqual([1, 10]);
  const [first, second] = [display.countTree(), display.countTree()];
  first({ files: 2, bytes: 20, isExact: false });
  first({ files: 5, bytes: 50, isExact: true });
  expect([display.files, display.bytes]).toEqual([6, null]);
  // Said twice, it is still one tree.
  first({ files: 5, bytes: 50, isExact: true });
  expect(display.bytes).toBeNull();
  second({ files: 0, bytes: 0, isExact: true });
  expect([display.files, display.bytes]).toEqual([6, 60]);
  display.count(1, null);
  expect([display.files, display.bytes]).toEqual([7, null]);
});

test('programs hear of it once a second, of all only where there are several', () => {
  display.count(1, 100);
  const file = display.file('a');
  for (nowMs = 0; nowMs <= 2_500; nowMs += 250) file.update(progress(nowMs / 50));
  expect(told).toMatchObject([
    { type: 'progress', path: 'a', doneBytes: 20, totalBytes: 100 },
    { type: 'progress', path: 'a', doneBytes: 40 },
  ]);
  expect(totals()).toEqual([undefined, undefined]);
});

test('totals leave out what was in place, and never run backwards', () => {
  display.count(3, 300);
  const tell = (file: ReturnType<TransferDisplay['file']>, ...how: Parameters<typeof progress>) => {
    nowMs += 1_000;
    file.update(progress(...how));
  };
  const [failing, resumed] = [display.file('a'), display.file('b')];
  tell(failing, 80);
  failing.finish(0);
  tell(resumed, 60, 50);
  resumed.finish(100);
  resumed.finish(0);
  tell(display.file('c'), 90);
  expect(totals()).toEqual([
    { files: 0, totalFiles: 3, doneBytes: 80, totalBytes: 300, movedBytes: 80 },
    { files: 1, totalFiles: 3, doneBytes: 80, totalBytes: 300, movedBytes: 90 },
    { files: 2, totalFiles: 3, doneBytes: 190, totalBytes: 300, movedBytes: 180 },
  ]);
});

test('a file counts with the last of its bytes, and only once', () => {
  display.count(2, 200);
  const [sent, other] = [display.file('a'), display.file('b')];
  sent.update(progress(100));
  nowMs = 1_000;
  other.update(progress(50));
  // It is sent again, and receives its receipt.
  for (const bytes of [0, 100]) sent.update(progress(bytes));
  sent.finish(100);
  nowMs = 2_000;
  other.update(progress(60));
  expect(totals()).toMatchObject([
    { files: 1, doneBytes: 150 },
    { files: 1, doneBytes: 160 },
  ]);
});

test('while a tree is counted nobody says how much there is', () => {
  const count = display.countTree();
  count({ files: 2, bytes: 200, isExact: false });
  const file = display.file('a');
  nowMs = 1_000;
  file.update(progress(10));
  count({ files: 3, bytes: 300, isExact: true });
  nowMs = 2_000;
  file.update(progress(20));
  expect(totals()).toMatchObject([
    { totalFiles: 2, totalBytes: null },
    { totalFiles: 3, totalBytes: 300 },
  ]);
});
