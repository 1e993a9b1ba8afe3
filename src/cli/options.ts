import type { Command } from 'commander';

import { BALANCES } from '../client/balance.ts';
import { isPin } from '../trust/pins.ts';
import { SealiftError } from '../errors.ts';
import { requireSetting } from './requirements.ts';
import { repeatableSetting, setting } from './settings.ts';
import { parseCount, parseDuration, parsePort, parseSize, parseTimeout } from '../units.ts';

/** Options of every command: what is shown, and where settings come from. */
export function addOutputOptions(command: Command): Command {
  return command
    .addOption(setting('-q, --quiet', 'say nothing but errors'))
    .addOption(setting('-v, --verbose', 'say more'))
    .addOption(setting('--json', 'print one JSON object per line'))
    .addOption(setting('--no-progress', 'show no progress bars'))
    .addOption(setting('--config <file>', 'the configuration file'));
}

/** Options of commands that connect to a server. */
export function addConnectionOptions(command: Command): Command {
  return command
    .addOption(
      setting('--port <number>', 'the port, where the place names none', (text) => parsePort(text, 1)),
    )
    .addOption(setting('--ca <file>', 'trust servers whose certificate this CA signed (PEM)'))
    .addOption(setting('--cert <file>', 'present this client certificate (PEM)'))
    .addOption(setting('--key <file>', 'the key of the client certificate (PEM)'))
    .addOption(
      repeatableSetting(
        '--pin <pin>',
        'trust the server with this key: sha256//BASE64 (repeatable)',
        parsePin,
      ),
    )
    .addOption(setting('--token-file <file>', 'the file that holds the token'))
    .addOption(
      setting('--balance <how>', 'which server of a saved remote that has several is tried first')
        .choices(BALANCES)
        .default('first'),
    )
    .addOption(setting('--insecure', 'believe any server: for tests only'))
    .addOption(
      setting(
        '--connect-timeout <duration>',
        'name and TCP; twice as long with TLS and hello',
        parseTimeout,
      ).default(10_000, '10s'),
    )
    .addOption(
      setting('--timeout <duration>', 'give a silent connection up', parseTimeout).default(60_000, '60s'),
    )
    .addOption(
      setting('--retry <count>', 'attempts after the first that bring nothing', (text) =>
        parseCount(text),
      ).default(8),
    )
    .addOption(
      setting(
        '--retry-delay <duration>',
        'the first delay, doubled each time, with jitter',
        parseDuration,
      ).default(500, '500ms'),
    )
    .addOption(
      setting(
        '--retry-max-time <duration>',
        'give up so long after the last progress',
        parseDuration,
      ).default(900_000, '15m'),
    );
}

/** Options of commands that move files. */
export function addTransferOptions(command: Command): Command {
  return addCompressOption(command)
    .addOption(
      setting('--streams <count>', 'connections for one file of more than 1 MiB', (text) =>
        parseCount(text, 1),
      ).default(1),
    )
    .addOption(setting('--bwlimit <rate>', 'bytes per second, as 500K or 10M', parseSize))
    .addOption(requireSetting())
    .addOption(
      setting('--if-exists <what>', 'what to do where a file stands already')
        .choices(['overwrite', 'skip', 'fail', 'rename'])
        .default('overwrite'),
    );
}

/** The option of commands that carry the contents of files. */
export function addCompressOption(command: Command): Command {
  return command.addOption(setting('-z, --compress', 'compress on the way what shrinks'));
}

/** Throws `usage` for what is no pin. */
export function parsePin(text: string): string {
  if (isPin(text)) return text;
  throw new SealiftError('usage', `${JSON.stringify(text)} is no pin: it is written sha256//BASE64.`);
}
