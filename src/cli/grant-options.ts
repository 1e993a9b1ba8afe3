import type { Command } from 'commander';

import { systemClock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { PERMISSIONS } from '../protocol/responses.ts';
import { pathProblem } from '../transfer/remote-path.ts';
import { isNetwork } from '../transport/address-list.ts';
import type { PrincipalTable } from '../trust/users-text.ts';
import { parseCount, parseSize } from '../units.ts';
import { linesSetting } from './lines-setting.ts';
import { parseMoment } from './moment.ts';
import { setting, type Settings } from './settings.ts';

/** Options that say what a new principal may do, and how much of it. */
export function addGrantOptions(command: Command): Command {
  return command
    .addOption(
      setting('--permissions <list>', `what it may do (default: ${PERMISSIONS.join(',')})`, parsePermissions),
    )
    .addOption(
      linesSetting('--prefix <path>', 'only this path and what is below it (repeatable)', parsePrefix),
    )
    .addOption(setting('--root <directory>', 'where its paths begin (default: the directory that is served)'))
    .addOption(setting('--quota <size>', 'the most that it may store, as 10G', asWritten(parseSize)))
    .addOption(
      setting('--quota-files <count>', 'the most files that it may store', (text) => parseCount(text)),
    )
    .addOption(setting('--max-file-size <size>', 'the largest file', asWritten(parseSize)))
    .addOption(setting('--rate <rate>', 'bytes per second each way, as 500K or 10M', asWritten(parseSize)))
    .addOption(
      setting('--max-connections <count>', 'the most connections at once', (text) => parseCount(text, 1)),
    )
    .addOption(
      setting('--expires <when>', 'in 90d, or on a date such as 2027-01-31 (default: never)', parseExpiry),
    )
    .addOption(
      linesSetting(
        '--address <network>',
        'only from there, as in 10.0.0.5 or 10.0.0.0/8 (repeatable)',
        parseNetwork,
      ),
    );
}

/** The fields of a users file that were asked for; none that were not. */
export function givenGrant(settings: Settings): PrincipalTable {
  const fields = {
    permissions: settings['permissions'],
    prefixes: settings['prefix'],
    root: settings['root'],
    quota: settings['quota'],
    'quota-files': settings['quotaFiles'],
    'max-file-size': settings['maxFileSize'],
    rate: settings['rate'],
    'max-connections': settings['maxConnections'],
    expires: settings['expires'],
    addresses: settings['address'],
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function parsePermissions(text: string): string[] {
  const wanted = text.split(',').map((name) => name.trim());
  const unknown = wanted.find((name) => !(PERMISSIONS as readonly string[]).includes(name));
  if (unknown === undefined) return [...new Set(wanted)];
  throw new SealiftError(
    'usage',
    `${JSON.stringify(unknown)} is no permission; they are ${PERMISSIONS.join(', ')}.`,
  );
}

function parsePrefix(text: string): string {
  // As in a place, a slash at either end says nothing more.
  const path = text.replace(/^\/+|\/+$/g, '');
  const problem = path === '' ? undefined : pathProblem(path);
  if (problem === undefined) return path;
  throw new SealiftError('usage', `${JSON.stringify(text)} is no path: it ${problem}.`);
}

function parseExpiry(text: string): Date {
  const momentMs = parseMoment(text, systemClock, 'after');
  if (momentMs > systemClock.now()) return new Date(momentMs);
  throw new SealiftError('usage', `${JSON.stringify(text)} is over already.`);
}

function parseNetwork(text: string): string {
  if (isNetwork(text)) return text;
  throw new SealiftError('usage', `${JSON.stringify(text)} is no address and no network, as in 10.0.0.0/8.`);
}

/** Checks a value and keeps it as it was written: so it stands in the file. */
function asWritten(parse: (text: string) => unknown): (text: string) => string {
  return (text) => {
    parse(text);
    return text.trim();
  };
}
