// Loaded into the Sealift server before the program: measures how late its event loop comes to what is due. Each 10 ms
// something is due; what was due while the loop stood still is counted too, each with its own delay, as callers on
// a network would have felt it. Answers each message from the bench with the 99th percentile and the largest, in
// milliseconds, since the last message. Not TypeScript, because what strips types would take memory in the server.
import { performance } from 'node:perf_hooks';

const INTERVAL_MS = 10;

let lags = [];
let dueMs = performance.now() + INTERVAL_MS;

function tick() {
  const nowMs = performance.now();
  for (; dueMs <= nowMs; dueMs += INTERVAL_MS) lags.push(nowMs - dueMs);
  setTimeout(tick, dueMs - nowMs).unref();
}

process.on('message', () => {
  const sorted = lags.sort((a, b) => a - b);
  process.send({ p99: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0, max: sorted.at(-1) ?? 0 });
  lags = [];
});
// The server is to end when it would without this.
process.channel.unref();
tick();
