import type { Command } from 'commander';

import { systemClock } from '../../clock.ts';
import type { AnnouncedServer } from '../../diagnostics/announced-server.ts';
import { discover } from '../../diagnostics/discover.ts';
import { systemRandom } from '../../random.ts';
import { formatAddress } from '../../transport/address.ts';
import { formatDuration, parseTimeout } from '../../units.ts';
import { printable } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import type { RunContext } from '../run-context.ts';
import type { Runner } from '../runner.ts';
import { setting } from '../settings.ts';

/** `sealift discover` */
export function addDiscover(program: Command, run: Runner): void {
  const command = program
    .command('discover')
    .description('list the servers that announce themselves on the local network')
    .addOption(
      setting('--timeout <duration>', 'how long to wait: servers answer within 1s', parseTimeout).default(
        2_000,
        '2s',
      ),
    )
    .addOption(setting('--broadcast', 'ask by UDP broadcast, where multicast is blocked'))
    .addOption(setting('--from <address>', 'look only where this address of this machine is'));
  run(command, async (context) => list(context));
}

async function list({ settings, terminal, signal }: RunContext): Promise<number> {
  const { timeout, broadcast, from } = settings;
  const servers = await discover({
    way: broadcast === true ? 'broadcast' : 'multicast',
    timeoutMs: timeout as number,
    from: typeof from === 'string' ? from : undefined,
    onFound: ({ name }) => terminal.detail(`sealift: heard of ${printable(name)}`),
    clock: systemClock,
    random: systemRandom,
    signal,
  });
  servers.sort((one, other) => one.name.localeCompare(other.name) || one.port - other.port);
  for (const server of servers) {
    terminal.event('server', { ...server });
    if (!terminal.options.json) terminal.data(linesOf(server));
  }
  const within = formatDuration(timeout as number);
  if (servers.length === 0) terminal.note(`sealift: no server announced itself within ${within}.`);
  else
    terminal.note(
      'Anybody on this network can announce anything. Trust a pin only if it is the one that the server printed.',
    );
  return EXIT.done;
}

function linesOf(server: AnnouncedServer): string {
  const { name, host, port, addresses, pin, version } = server;
  const where = printable(`${host}:${port} (${addresses.join(', ') || 'no address'})`);
  const program = version === undefined ? '' : printable(`, sealift ${version}`);
  return [`${printable(name)}  ${where}${program}`, `  pin    ${pin ?? 'none'}`, ...trustLine(server)].join(
    '\n',
  );
}

function trustLine({ addresses: [address], port, pin }: AnnouncedServer): string[] {
  if (address === undefined || pin === undefined) return [];
  return [`  trust  sealift trust ${formatAddress({ host: address, port })} --pin '${pin}'`];
}
