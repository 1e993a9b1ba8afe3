import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { ConnectOptions } from '../client/client.ts';
import type { Connector } from '../client/connector.ts';
import type { RetryPolicy } from '../client/retry.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { DEFAULT_PORT } from '../protocol/limits.ts';
import { formatAddress, parseAddress, type Address } from '../transport/address.ts';
import type { ExpiringCertificate } from '../trust/expiring-certificates.ts';
import { KnownServers } from '../trust/known-servers.ts';
import { assertPrivate } from '../trust/private-file.ts';
import type { Directories } from './directories.ts';
import { expiryWarning } from './expiry-warning.ts';
import type { ServerText } from './places.ts';
import type { Remotes, SavedRemote } from './remotes.ts';
import type { Settings } from './settings.ts';
import type { Terminal } from './terminal.ts';

/** What a command works with: its settings, its output, and the servers it speaks to. */
export class RunContext implements AsyncDisposable {
  readonly settings: Settings;
  readonly terminal: Terminal;
  readonly directories: Directories;
  /** Fires when the program is told to stop, or what it does is to end for another reason. */
  readonly signal: AbortSignal;
  readonly #connectors: Map<string, Connector>;
  readonly #warnings: Set<string>;

  constructor(
    parts: Pick<RunContext, 'settings' | 'terminal' | 'directories' | 'signal'>,
    connectors = new Map<string, Connector>(),
    warnings = new Set<string>(),
  ) {
    this.settings = parts.settings;
    this.terminal = parts.terminal;
    this.directories = parts.directories;
    this.signal = parts.signal;
    this.#connectors = connectors;
    this.#warnings = warnings;
  }

  /** The same with another signal. The connections are those of this one, which ends them. */
  withSignal(signal: AbortSignal): RunContext {
    const { settings, terminal, directories } = this;
    return new RunContext({ settings, terminal, directories, signal }, this.#connectors, this.#warnings);
  }

  /** Whether TCP to any server ever stood in this run. */
  get hasConnected(): boolean {
    return [...this.#connectors.values()].some(({ hasConnected }) => hasConnected);
  }

  readonly remotes = async (): Promise<Remotes> => {
    const { Remotes } = await import('./remotes.ts');
    return new Remotes(this.directories.config);
  };

  readonly knownServers = (): Promise<KnownServers> =>
    KnownServers.load(join(this.directories.config, 'known_servers'));

  get retryPolicy(): RetryPolicy {
    const { retry, retryDelay, retryMaxTime } = this.settings;
    return {
      retries: retry as number,
      baseDelayMs: retryDelay as number,
      maxElapsedMs: retryMaxTime as number,
      maxDelayMs: 30_000,
    };
  }

  /** The connector to a server, the same one for the same server. */
  async connector(server: ServerText): Promise<Connector> {
    // TLS is most of what is loaded to connect, and not needed by those who never do.
    const [{ Connector }, options] = await Promise.all([
      import('../client/connector.ts'),
      this.connectOptions(server),
    ]);
    // By name too: two saved remotes may be one server with two tokens.
    const name = `${options.calledBy ?? ''} ${formatAddress(options.address)}`;
    const present = this.#connectors.get(name) ?? new Connector(options);
    this.#connectors.set(name, present);
    return present;
  }

  /** How to connect to a server: from the flags, the saved remote and the known servers, in that order. */
  async connectOptions(server: ServerText): Promise<ConnectOptions> {
    const saved = 'name' in server ? await (await this.remotes()).find(server.name) : undefined;
    const address = this.#addressOf(server, saved);
    const { ca, cert, key, pin, insecure, compress, connectTimeout, timeout } = this.settings;
    const savedPins = saved?.pins ?? [...(await this.knownServers()).pinsFor(address)];
    // A CA that is named now is to be asked, whatever was trusted before.
    const pins = (pin as string[] | undefined) ?? (ca === undefined ? savedPins : []);
    if ((cert === undefined) !== (key === undefined)) {
      throw new SealiftError(
        'usage',
        'A client certificate needs its key, and a key its certificate: give --cert and --key.',
      );
    }
    if (insecure === true)
      this.terminal.warn(`--insecure: whoever answers at ${formatAddress(address)} is believed.`);
    const keyFile = (key as string | undefined) ?? saved?.key;
    if (keyFile !== undefined) await assertPrivate(keyFile);
    return {
      address,
      calledBy: 'name' in server ? server.name : formatAddress(address),
      pins,
      ca: await certificates((ca as string | undefined) ?? saved?.ca),
      cert: await certificates((cert as string | undefined) ?? saved?.cert),
      key: await pem(keyFile),
      token: (await this.#token()) ?? saved?.token,
      insecure: insecure === true,
      compress: compress === true,
      connectTimeoutMs: connectTimeout as number,
      helloTimeoutMs: 2 * (connectTimeout as number),
      timeoutMs: timeout as number,
      onExpiring: (expiring) => this.#warnOnce(expiring),
      signal: this.signal,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connector of this.#connectors.values()) await connector[Symbol.asyncDispose]();
  }

  // Each connection of a run tells the same.
  #warnOnce(expiring: ExpiringCertificate): void {
    const warning = expiryWarning(expiring);
    if (!this.#warnings.has(warning)) this.terminal.warn(warning);
    this.#warnings.add(warning);
  }

  #addressOf(server: ServerText, saved: SavedRemote | undefined): Address {
    if ('address' in server) return server.address;
    const port = this.settings['port'] as number | undefined;
    const address = saved === undefined ? undefined : parseAddress(saved.address);
    if (address === undefined) return { host: server.name, port: port ?? DEFAULT_PORT };
    return 'path' in address || port === undefined ? address : { ...address, port };
  }

  async #token(): Promise<string | undefined> {
    const { tokenFile } = this.settings;
    if (typeof tokenFile === 'string') {
      await assertPrivate(tokenFile);
      return (await readText(tokenFile)).trim();
    }
    return process.env['SEALIFT_TOKEN'];
  }
}

/** The text of a PEM file of certificates. Checked here, because Node passes over what it cannot read in a CA file. */
async function certificates(file: string | undefined): Promise<string | undefined> {
  const text = await pem(file);
  if (text === undefined || isCertificate(text)) return text;
  throw new SealiftError('bad-configuration', `${file ?? ''} holds no certificate in PEM.`);
}

function isCertificate(text: string): boolean {
  try {
    return new X509Certificate(text).raw.length > 0;
  } catch {
    return false;
  }
}

async function pem(file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : readText(file);
}

/** The text of a file that an option names. Throws `usage`. */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new SealiftError('usage', `${file} cannot be read (${systemCode(cause) ?? String(cause)}).`, {
      cause,
    });
  }
}
