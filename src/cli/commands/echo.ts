import { Command } from 'commander';

import { SealiftError } from '../../errors.ts';
import { TLS_VERSIONS } from '../../transport/tls-variation.ts';
import { parseDuration, parseTimeout } from '../../units.ts';
import { parseListenAddress } from '../listen-address.ts';
import { parsePin } from '../options.ts';
import type { RunContext } from '../run-context.ts';
import type { Runner } from '../runner.ts';
import { repeatableSetting, setting } from '../settings.ts';

/** `sealift echo --listen [ADDRESS]`, `sealift echo HOST[:PORT]` */
export function addEcho(program: Command, run: Runner): void {
  const command = new Command('echo')
    .description('serve TLS that sends everything back, or send standard input through such a server')
    .argument('[server]', 'host, host:port or name; standard input goes there and comes back')
    .addOption(
      setting(
        '--listen [address]',
        'be the server: HOST:PORT, or :PORT (default: :7433)',
        parseListenAddress,
      ),
    )
    .addOption(setting('--plain', 'TCP without TLS'))
    .addOption(setting('--udp', 'datagrams'))
    .addOption(setting('--unix <path>', 'a Unix socket, without TLS'));
  addTlsOptions(command);
  addServerOptions(command);
  addClientOptions(command);
  // What was added, not made, by `program` does not know what it says of failures.
  program.addCommand(command.copyInheritedSettings(program));
  run(command, (context, [server]) => echo(context, server as string | undefined), {
    dataOnStdout: (_, { listen }) => listen === undefined,
  });
}

function addTlsOptions(command: Command): void {
  command
    .addOption(setting('--cert <file>', 'the certificate to show, with its chain (PEM)'))
    .addOption(setting('--key <file>', 'its key (PEM)'))
    .addOption(setting('--min-tls <version>', 'the oldest TLS version (default: 1.2)').choices(TLS_VERSIONS))
    .addOption(setting('--max-tls <version>', 'the newest TLS version').choices(TLS_VERSIONS).default('1.3'))
    .addOption(setting('--ciphers <list>', 'cipher suites, as OpenSSL lists them'))
    .addOption(setting('--groups <list>', 'key-exchange groups, as in X25519MLKEM768:X25519'))
    .addOption(setting('--alpn <list>', 'protocols to offer or accept, with commas', parseList));
}

function addServerOptions(command: Command): void {
  command
    .addOption(setting('--request-client-cert', 'server: ask clients for a certificate'))
    .addOption(setting('--require-client-cert', 'server: refuse clients without one of --client-ca'))
    .addOption(setting('--client-ca <file>', 'server: who vouches for clients (PEM)'))
    .addOption(
      setting(
        '--idle-timeout <duration>',
        'server: end a connection on which nothing moves',
        parseDuration,
      ).default(300_000, '5m'),
    );
}

function addClientOptions(command: Command): void {
  command
    .addOption(setting('--ca <file>', 'client: trust servers whose certificate this CA signed (PEM)'))
    .addOption(
      repeatableSetting('--pin <pin>', 'client: trust the server with this key (repeatable)', parsePin),
    )
    .addOption(setting('--insecure', 'client: believe any server'))
    .addOption(setting('--servername <name>', 'client: ask for this name instead of the host'))
    .addOption(
      setting('--connect-timeout <duration>', 'client: name and TCP', parseTimeout).default(10_000, '10s'),
    )
    .addOption(
      setting(
        '--timeout <duration>',
        'client: give up when nothing comes back (default: 60s, 2s for a datagram)',
        parseTimeout,
      ),
    );
}

async function echo(context: RunContext, server: string | undefined): Promise<number> {
  const { listen, plain, udp, unix } = context.settings;
  if ([plain, udp, unix].filter((each) => each !== undefined).length > 1)
    throw new SealiftError('usage', 'Only one of --plain, --udp and --unix can be had.');
  const isClient = server !== undefined || (listen === undefined && unix !== undefined);
  if (isClient === (listen !== undefined) || (server !== undefined && unix !== undefined)) {
    throw new SealiftError('usage', 'Either a server is needed, or --listen to be one.', {
      hint: 'sealift echo --listen :9000 there, and sealift echo HOST:9000 here.',
    });
  }
  if (listen !== undefined) return (await import('../echo-server.ts')).serveEcho(context);
  return (await import('../echo-client.ts')).sendEcho(context, server);
}

function parseList(text: string): string[] {
  const names = text.split(',').filter((name) => name !== '');
  if (names.length > 0 && names.every((name) => Buffer.byteLength(name) < 256)) return names;
  throw new SealiftError('usage', `${JSON.stringify(text)} is no list of protocols, as in h2,http/1.1.`);
}
