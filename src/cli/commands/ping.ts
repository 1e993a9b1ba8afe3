import { Command } from 'commander';

import { sleep, systemClock } from '../../clock.ts';
import { formatAddress } from '../../transport/address.ts';
import { EXIT } from '../exit-codes.ts';
import { parseServerText } from '../places.ts';
import type { Runner } from '../runner.ts';
import { addRemoteCommand } from '../remote-command.ts';
import { setting } from '../settings.ts';
import { parseCount, parseDuration } from '../../units.ts';

/** `sealift ping REMOTE` */
export function addPing(program: Command, run: Runner): void {
  const command = new Command('ping')
    .description('measure round trips through the protocol')
    .argument('<remote>', 'host, host:port, name or sealift://host:port')
    .addOption(setting('-c, --count <count>', 'how many', (text) => parseCount(text, 1)).default(4))
    .addOption(
      setting('-i, --interval <duration>', 'between two of them', parseDuration).default(1_000, '1s'),
    );
  addRemoteCommand(program, run, command, async (context, [remote]) => {
    const { terminal, settings, signal } = context;
    const connector = await context.connector(parseServerText(String(remote)));
    const client = await connector.use(signal);
    const place = formatAddress(client.address);
    const { tlsVersion, cipher } = client.peer;
    terminal.note(`PING ${place} (${tlsVersion}, ${cipher})`);
    const times: number[] = [];
    const count = settings['count'] as number;
    for (let sequence = 1; sequence <= count; sequence += 1) {
      if (sequence > 1) await sleep(systemClock, settings['interval'] as number, signal);
      const startMs = systemClock.monotonicMs();
      await client.ping({ signal });
      const ms = systemClock.monotonicMs() - startMs;
      times.push(ms);
      if (terminal.options.json) terminal.event('ping', { seq: sequence, ms });
      else terminal.data(`reply from ${place}: seq=${sequence} time=${ms.toFixed(2)} ms`);
    }
    const { min, avg, max } = {
      min: Math.min(...times),
      avg: times.reduce((sum, ms) => sum + ms, 0) / times.length,
      max: Math.max(...times),
    };
    terminal.event('summary', {
      sent: count,
      received: times.length,
      min,
      avg,
      max,
      tlsVersion,
      cipher,
      exitCode: EXIT.done,
    });
    if (!terminal.options.json)
      terminal.data(
        `${times.length} replies, round trip min/avg/max = ${min.toFixed(2)}/${avg.toFixed(2)}/${max.toFixed(2)} ms`,
      );
    return EXIT.done;
  });
}
