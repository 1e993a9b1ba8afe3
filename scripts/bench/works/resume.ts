import { once } from 'node:events';
import { linkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { formatSize } from '../../../src/units.ts';
import { start, type Command } from '../commands.ts';
import { measured } from '../measure.ts';
import { sealiftFiles } from '../peers/sealift.ts';
import { movedBytes } from '../process-figures.ts';
import { makeRandomFile } from '../sources.ts';
import { mustBeSameFile } from '../verify.ts';
import type { Case, Setting, Work } from '../work.ts';
import { getCases, putCases, type Copied } from './copying.ts';

const KILLED_AT = 0.9;

/** The client is killed near the end; the same command again does the rest. Compared with doing all of it at once. */
export const resume: Work = {
  name: 'resume',
  isForDisk: true,
  room: (sizes) => 3 * sizes.large,
  prepare: async (setting) => {
    const { large } = setting.sizes;
    const copied: Copied = {
      source: makeRandomFile(join(setting.directory, 'source'), large),
      size: `${formatSize(large)}, killed at 90 %`,
      amount: { count: large / 1e6, unit: 'MB' },
    };
    const fetched = join(setting.directory, 'fetched');
    const whole = sealiftFiles(setting.peers.sealift, { name: 'sealift, not interrupted' });
    return [
      resumedCase(setting, copied, 'put'),
      ...putCases(whole, copied),
      resumedCase(setting, copied, 'get'),
      ...getCases(whole, copied, fetched),
    ];
  },
};

function resumedCase(
  { directory, peers: { sealift } }: Setting,
  copied: Copied,
  action: 'put' | 'get',
): Case {
  const { source, size } = copied;
  const stored = join(sealift.root, 'copy');
  const fetched = join(directory, 'fetched');
  // What the server takes from sockets, or gives to them: here it reads, or writes, nothing else to speak of.
  const moved = () => movedBytes(sealift.pid)[action === 'put' ? 'read' : 'written'];
  const carrier = sealiftFiles(sealift);
  const command = (action === 'put' ? carrier.put?.(source, 'copy') : carrier.get?.('copy', fetched)) ?? [];
  const begin = () => {
    if (action === 'get') linkSync(source, stored);
    return moved();
  };
  const end = async (start: number) => {
    const bytes = moved() - start;
    await mustBeSameFile(source, action === 'put' ? stored : fetched);
    for (const path of [stored, fetched]) rmSync(path, { force: true });
    return bytes;
  };
  let wholeBytes: number | undefined;
  const run = async () => {
    if (wholeBytes === undefined) {
      const start = begin();
      await measured(sealift, command);
      wholeBytes = await end(start);
    }
    const start = begin();
    const limit = start + KILLED_AT * wholeBytes;
    await killedWhen(command, () => moved() >= limit);
    const cost = await measured(sealift, command);
    // Records and headers cost the same however often one begins, so that what is left was sent twice.
    return { ...cost, figures: { 'MB sent twice': ((await end(start)) - wholeBytes) / 1e6 } };
  };
  return { what: `${action} ${size}`, program: 'sealift', run };
}

/** Runs a command and kills it as soon as `isTime` says so. Throws if it ends before. */
async function killedWhen(command: Command, isTime: () => boolean): Promise<void> {
  const child = start(command, 'ignore');
  const ended = once(child, 'exit');
  while (child.exitCode === null && !isTime()) await sleep(1);
  child.kill('SIGKILL');
  await ended;
  if (child.signalCode !== 'SIGKILL') throw new Error('The client ended before it could be killed.');
}
