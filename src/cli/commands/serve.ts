import type { Command } from 'commander';

import { closeInTurn } from '../../server/close-in-turn.ts';
import type { CreatedServer } from '../../server/create-server.ts';
import { DEFAULT_PORT } from '../../protocol/limits.ts';
import { formatAddress } from '../../transport/address.ts';
import { announceServer, type Announcement } from '../announce-server.ts';
import { AuditFile } from '../audit-file.ts';
import { EXIT } from '../exit-codes.ts';
import { suitGarbageCollectionToServers } from '../garbage-collection.ts';
import { joinLine } from '../join-line.ts';
import type { HostPort } from '../listen-address.ts';
import { passphraseIn } from '../passphrase.ts';
import { Hangups, untilStopped } from '../hangup.ts';
import type { Runner } from '../runner.ts';
import type { RunContext } from '../run-context.ts';
import { chaosDecorator, chaosSetting } from '../server-chaos.ts';
import { MetricsPages, parseMetricsAddress } from '../server-metrics.ts';
import { setting } from '../settings.ts';
import { parseCount, parseDuration, parsePort, parseSize } from '../../units.ts';
import { version } from '../version.ts';

/** `sealift serve [DIR]` */
export function addServe(program: Command, run: Runner): void {
  const command = program
    .command('serve')
    .description('serve a directory; the first start makes a key and prints the line to run on a client')
    .argument('[directory]', 'default: ./sealift-data')
    .addOption(setting('--host <address>', 'listen here only (default: all addresses)'))
    .addOption(
      setting('--port <number>', 'the port; 0 picks one', (text) => parsePort(text, 0)).default(DEFAULT_PORT),
    )
    .addOption(setting('--socket <path>', 'listen on this Unix socket instead'))
    .addOption(setting('--cert <file>', 'the certificate of the server, with its chain (PEM)'))
    .addOption(setting('--key <file>', 'its key (PEM)'))
    .addOption(setting('--client-ca <file>', 'accept clients whose certificate this CA signed (PEM)'))
    .addOption(
      setting('--client-ca-key <file>', 'its key: clients that join get a certificate, if they ask (PEM)'),
    )
    .addOption(setting('--client-ca-passphrase-file <file>', 'the passphrase of that key'))
    .addOption(setting('--crl <file>', 'certificates that this CA has revoked (PEM)'))
    .addOption(setting('--users <file>', 'principals: tokens, certificates, permissions (TOML)'))
    .addOption(
      setting('--anonymous <access>', 'what clients may do that say nothing of who they are')
        .choices(['none', 'read', 'write'])
        .default('none'),
    )
    .addOption(setting('--read-only', 'let nobody change anything, whatever else is granted'))
    .addOption(setting('--join', 'print a line that lets one more client in'))
    .addOption(setting('--allow-no-alpn', 'serve clients that offer no ALPN, and the tutorial dialect'))
    .addOption(
      setting('--min-tls <version>', 'the oldest TLS version').choices(['1.2', '1.3']).default('1.3'),
    )
    .addOption(setting('--max-connections <count>', 'at once', (text) => parseCount(text, 1)).default(4_096))
    .addOption(
      setting('--max-connections-per-address <count>', 'at once', (text) => parseCount(text, 1)).default(
        1_024,
      ),
    )
    .addOption(
      setting('--max-unauthenticated <count>', 'at once that have not logged in yet', (text) =>
        parseCount(text, 1),
      ).default(2_048),
    )
    .addOption(
      setting('--max-unauthenticated-per-address <count>', 'of these, from one address', (text) =>
        parseCount(text, 1),
      ).default(512),
    )
    .addOption(setting('--audit-log <file>', 'append a line of JSON for all that is done; SIGHUP reopens it'))
    .addOption(
      setting('--bench', 'open a port without TLS for "sealift bench", to who may write, for half a minute'),
    )
    .addOption(setting('--announce', 'let "sealift discover" find it on the local network (multicast DNS)'))
    .addOption(
      setting('--broadcast', 'let "sealift discover --broadcast" find it, where multicast is blocked'),
    )
    .addOption(chaosSetting())
    .addOption(
      setting(
        '--metrics <address>',
        'serve /metrics for Prometheus, /ready and /live over HTTP on HOST:PORT; :PORT is 127.0.0.1',
        parseMetricsAddress,
      ),
    )
    .addOption(
      setting('--idle-timeout <duration>', 'end a connection with nothing to do', parseDuration).default(
        300_000,
        '5m',
      ),
    )
    .addOption(
      setting('--abandoned-age <duration>', 'remove uploads that nobody went on with', parseDuration).default(
        604_800_000,
        '7d',
      ),
    )
    .addOption(
      setting(
        '--abandoned-bytes <size>',
        'the most that such uploads of one principal may take',
        parseSize,
      ).default(256 * 2 ** 30, '256G'),
    )
    .addOption(
      setting(
        '--keep-versions <duration>',
        'keep what is replaced or removed so long; 0 keeps nothing',
        parseDuration,
      ).default(0, '0'),
    )
    .addOption(
      setting('--grace <duration>', 'how long SIGTERM lets requests under way go on', parseDuration).default(
        10_000,
        '10s',
      ),
    );
  run(command, async (context, [directory]) => {
    const hangups = new Hangups();
    try {
      return await serve(context, typeof directory === 'string' ? directory : './sealift-data', hangups);
    } finally {
      hangups.close();
    }
  });
}

async function serve(context: RunContext, root: string, hangups: Hangups): Promise<number> {
  const { settings, terminal, signal } = context;
  // Loaded only here: what makes certificates is large, and no other command needs it.
  const { createServer } = await import('../../server/create-server.ts');
  const { serverLogger } = await import('../server-log.ts');
  suitGarbageCollectionToServers();
  const logger = serverLogger(terminal.options);
  const auditLog = settings['auditLog'];
  const audit = typeof auditLog === 'string' ? AuditFile.open(auditLog, logger) : undefined;
  const metricsAddress = settings['metrics'] as HostPort | undefined;
  const pages = metricsAddress === undefined ? undefined : await MetricsPages.make(metricsAddress);
  const server = await createServer({
    root,
    logger,
    audit,
    metrics: pages?.metrics,
    decorateStore: await chaosDecorator(settings, logger),
    cert: pemFile(settings['cert']),
    key: pemFile(settings['key']),
    clientCa: pemFile(settings['clientCa']),
    clientCaKey: pemFile(settings['clientCaKey']),
    clientCaPassphrase: await passphraseOf(settings['clientCaPassphraseFile']),
    crl: pemFile(settings['crl']),
    readOnly: settings['readOnly'] === true,
    ...given('host', settings['host']),
    ...given('socketPath', settings['socket']),
    ...given('usersFile', settings['users']),
    port: settings['port'] as number,
    anonymous: settings['anonymous'] as 'none' | 'read' | 'write',
    allowNoAlpn: settings['allowNoAlpn'] === true,
    plainBench: settings['bench'] === true,
    minVersion: settings['minTls'] === '1.2' ? 'TLSv1.2' : 'TLSv1.3',
    maxConnections: settings['maxConnections'] as number,
    maxConnectionsPerAddress: settings['maxConnectionsPerAddress'] as number,
    maxUnauthenticated: settings['maxUnauthenticated'] as number,
    maxUnauthenticatedPerAddress: settings['maxUnauthenticatedPerAddress'] as number,
    idleTimeoutMs: settings['idleTimeout'] as number,
    abandonedUploads: {
      maxAgeMs: settings['abandonedAge'] as number,
      maxBytesPerOwner: settings['abandonedBytes'] as number,
    },
    keepVersionsMs: settings['keepVersions'] as number,
    agent: `sealift/${version()}`,
  });
  const announcement = await startBeside(context, server, pages);
  await tellListening(context, server, root);
  const onHangup = () => {
    audit?.reopen();
    // What is wrong then stands in the log.
    server.reload().catch(() => undefined);
  };
  await untilStopped(signal, onHangup, hangups);
  logger.info({}, 'stopping: no new connections, requests under way may end');
  try {
    await closeInTurn([
      () => announcement?.close(),
      () => server.close({ graceMs: settings['grace'] as number }),
      () => pages?.close(),
      () => audit?.close(),
    ]);
  } catch (error) {
    logger.error({ err: error }, 'stopped, but not everything could be put in order');
    return EXIT.failure;
  }
  return EXIT.done;
}

/** What runs beside a server; where it cannot, the server does not run either. */
async function startBeside(
  { terminal, settings }: RunContext,
  server: CreatedServer,
  pages: MetricsPages | undefined,
): Promise<Announcement | undefined> {
  try {
    await pages?.serve(server, terminal);
    return await announceServer(settings, server);
  } catch (error) {
    await pages?.close();
    await server.close({ graceMs: 0 });
    throw error;
  }
}

async function tellListening(
  { terminal, settings }: RunContext,
  server: CreatedServer,
  root: string,
): Promise<void> {
  const { address, pin } = server;
  if (terminal.options.json)
    terminal.event('listening', { ...('path' in address ? { path: address.path } : address), pin });
  else terminal.data(`sealift: serving ${root} on ${listeningOn(server)} with the pin ${pin}`);
  const { anonymous, clientCa, clientCaKey, users } = settings;
  const believesCa = clientCa !== undefined && clientCaKey === undefined;
  const isOpen = anonymous !== 'none' || believesCa || users !== undefined;
  const isFirst = server.principalCount === 0 && !isOpen;
  if (!isFirst && settings['join'] !== true) return;
  const code = await server.issueJoinCode();
  const line = joinLine({ address, pin, code });
  terminal.event('join', { command: line, code, minutes: 15 });
  const why = isFirst ? 'Nobody may log in yet. To let a first client in' : 'To let one more client in';
  // Said with --quiet too: without it nobody gets in.
  if (!terminal.options.json)
    terminal.data(`${why}, run this there within 15 minutes; it works once:\n\n  ${line}\n`);
}

function listeningOn({ address }: CreatedServer): string {
  return 'path' in address
    ? formatAddress(address)
    : address.host === ''
      ? `all addresses, port ${address.port}`
      : formatAddress(address);
}

function pemFile(file: unknown): { file: string } | undefined {
  return typeof file === 'string' ? { file } : undefined;
}

async function passphraseOf(file: unknown): Promise<string | undefined> {
  return typeof file === 'string' ? passphraseIn(file) : undefined;
}

function given<K extends string>(name: K, value: unknown): Partial<Record<K, string>> {
  return typeof value === 'string' ? ({ [name]: value } as Record<K, string>) : {};
}
