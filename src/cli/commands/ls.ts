import { Command } from 'commander';

import type { ListEntry } from '../../protocol/responses.ts';
import { baseName } from '../../transfer/remote-path.ts';
import { printable } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import type { Runner } from '../runner.ts';
import {
  addRemoteCommand,
  ask,
  assertAsWritten,
  assertNoPattern,
  remotePlace,
  type RemotePlace,
} from '../remote-command.ts';
import type { RunContext } from '../run-context.ts';
import { setting } from '../settings.ts';
import { hintAtKeeping } from '../versions.ts';

/** `sealift ls PLACE` */
export function addLs(program: Command, run: Runner): void {
  const command = new Command('ls')
    .description('list a directory, sorted by name')
    .argument('<place>', 'host:path; host: is the root')
    .addOption(setting('-l, --long', 'type, permissions, size, time of modification and name'))
    .addOption(setting('-r, --recursive', 'everything below too'))
    .addOption(
      setting(
        '--versions',
        'the versions that are kept of files that were replaced or removed, oldest first',
      ),
    );
  addRemoteCommand(program, run, command, async (context, [text]) => {
    const { terminal, settings, signal } = context;
    const place = remotePlace(text);
    if (settings['versions'] === true) return listVersions(context, place);
    await assertNoPattern(context, place);
    const recursive = settings['recursive'] === true;
    const entries = await ask(context, place, async (client) => {
      const found = place.path === '' ? undefined : await client.stat(place.path);
      if (found !== undefined) assertAsWritten(place, found);
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

async function listVersions(context: RunContext, place: RemotePlace): Promise<number> {
  const { terminal, settings, signal } = context;
  const recursive = settings['recursive'] === true;
  const versions = await ask(context, place, async (client) => {
    const found = await Array.fromAsync(client.list(place.path, { recursive, versions: true, signal }));
    // Where nothing is kept and nothing stands, the name is wrong.
    if (found.length === 0 && place.path !== '') await client.stat(place.path, { signal });
    return found;
  }).catch(hintAtKeeping);
  versions.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  for (const entry of versions) {
    const { type, ...rest } = entry;
    if (terminal.options.json) terminal.event('entry', { ...rest, kind: type });
    else terminal.data(`${printable(entry.version ?? '')} ${longLine(entry, true)}`);
  }
  if (versions.length === 0) terminal.note('sealift: ls: no versions are kept there.');
  return EXIT.done;
}

// No path holds the character zero: the versions of one file stay together.
function sortKey({ path, version = '' }: ListEntry): string {
  return `${path}\0${version}`;
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
