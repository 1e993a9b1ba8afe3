import { Command } from 'commander';

import type { ListEntry } from '../../protocol/responses.ts';
import { baseName } from '../../transfer/remote-path.ts';
import { printable } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import type { Runner } from '../runner.ts';
import { addRemoteCommand, ask, remotePlace } from '../remote-command.ts';
import { setting } from '../settings.ts';

/** `sealift ls PLACE` */
export function addLs(program: Command, run: Runner): void {
  const command = new Command('ls')
    .description('list a directory, sorted by name')
    .argument('<place>', 'host:path; host: is the root')
    .addOption(setting('-l, --long', 'type, permissions, size, time of modification and name'))
    .addOption(setting('-r, --recursive', 'everything below too'));
  addRemoteCommand(program, run, command, async (context, [text]) => {
    const { terminal, settings, signal } = context;
    const place = remotePlace(text);
    const recursive = settings['recursive'] === true;
    const entries = await ask(context, place, async (client) => {
      const found = place.path === '' ? undefined : await client.stat(place.path);
      if (found !== undefined && found.type !== 'directory') return [{ ...found, path: place.path }];
      return Array.fromAsync(client.list(place.path, { recursive, signal }));
    });
    // By code unit, as `LC_ALL=C ls` does: the same everywhere.
    entries.sort((a, b) => (a.path < b.path ? -1 : 1));
    for (const entry of entries) {
      const { type, ...rest } = entry;
      if (terminal.options.json) terminal.event('entry', { ...rest, kind: type });
      else
        terminal.data(settings['long'] === true ? longLine(entry, recursive) : shortLine(entry, recursive));
    }
    return EXIT.done;
  });
}

function shortLine({ path, type }: ListEntry, recursive: boolean): string {
  return `${printable(recursive ? path : baseName(path))}${type === 'directory' ? '/' : ''}`;
}

function longLine(entry: ListEntry, recursive: boolean): string {
  const { type, mode, size, mtimeMs, target } = entry;
  const letter = { file: '-', directory: 'd', symlink: 'l' }[type];
  const link = target === undefined ? '' : ` -> ${printable(target)}`;
  const time = localTime(mtimeMs);
  return `${letter}${permissions(mode)} ${String(size).padStart(14)} ${time} ${shortLine(entry, recursive)}${link}`;
}

// As `ls --time-style=long-iso` shows it, with seconds.
function localTime(milliseconds: number): string {
  const offsetMs = new Date(milliseconds).getTimezoneOffset() * 60_000;
  return new Date(milliseconds - offsetMs).toISOString().slice(0, 19).replace('T', ' ');
}

function permissions(mode: number): string {
  return [6, 3, 0]
    .map((shift) =>
      ['r', 'w', 'x'].map((letter, bit) => ((mode >> shift) & (4 >> bit) ? letter : '-')).join(''),
    )
    .join('');
}
