import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { killCommands } from './commands.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Calls `run` with a new directory below `parent`, of which nothing is left in the end, and with what collects the ends
 * of servers. They come to their ends also when somebody interrupts the bench.
 */
export async function isolated<T>(
  parent: string,
  run: (directory: string, onEnd: (end: () => Promise<void>) => void) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(parent, 'sealift-bench-'));
  const ends: (() => Promise<void>)[] = [];
  const cleanUp = async () => {
    killCommands();
    for (const end of ends) await end();
    rmSync(directory, { recursive: true, force: true });
  };
  const onSignal = () => void cleanUp().finally(() => process.exit(130));
  for (const signal of SIGNALS) process.once(signal, onSignal);
  try {
    hideUser(join(directory, 'home'));
    return await run(directory, (end) => ends.push(end));
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    await cleanUp();
  }
}

/** No setting of whoever runs this is seen by any of the programs, and nothing of theirs is left behind. */
function hideUser(home: string): void {
  for (const name of Object.keys(process.env))
    if (/^(SEALIFT|RSYNC|RCLONE|SSH|CURL)_|^(NODE_OPTIONS|TAR_OPTIONS|.*_proxy)$/i.test(name))
      delete process.env[name];
  mkdirSync(home);
  process.env['HOME'] = home;
  process.env['XDG_CONFIG_HOME'] = join(home, 'config');
  process.env['XDG_STATE_HOME'] = join(home, 'state');
  process.env['XDG_CACHE_HOME'] = join(home, 'cache');
}
