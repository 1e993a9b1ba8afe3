import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { balanced, type Balance } from '../client/balance.ts';
import type { ConnectOptions } from '../client/connect.ts';
import type { Connector } from '../client/connector.ts';
import type { RetryPolicy } from '../client/retry.ts';
import { SealiftError, systemCode } from '../errors.ts';
import { DEFAULT_PORT } from '../protocol/limits.ts';
import { shellWord } from '../shell-word.ts';
import { formatAddress, parseAddress, type Address } from '../transport/address.ts';
import { KnownServers } from '../trust/known-servers.ts';
import { assertPrivate } from '../trust/private-file.ts';
import type { Directories } from './directories.ts';
import { printable } from './escape.ts';
import { expiryWarning } from './expiry-warning.ts';
import type { ServerText } from './places.ts';
import type { Remotes, SavedServer } from './remotes.ts';
import { nextTurn } from './round-robin.ts';
import type { Settings } from './settings.ts';
import type { Terminal } from './terminal.ts';
import { acceptance } from './transfer-requirements.ts';

/** What a command works with: its settings, its output, and the servers it speaks to. */
export class RunContext implements AsyncDisposable {
  readonly settings: Settings;
  readonly terminal: Terminal;
  readonly directories: Directories;
  /** Fires when the program is told to stop, or what it does is to end for another reason. */
  readonly signal: AbortSignal;
  /** Whether the command goes on where it was when it is run again. */
  readonly goesOn: boolean;
  /** Whether a setting was said for this command itself, by a flag or by its job. */
  readonly isSaid: (name: string) => boolean;
  readonly #connectors: Map<string, Connector>;
  readonly #warnings: Set<string>;

  constructor(
    parts: Pick<RunContext, 'settings' | 'terminal' | 'directories' | 'signal'> &
      Partial<Pick<RunContext, 'goesOn' | 'isSaid'>>,
    connectors = new Map<string, Connector>(),
    warnings = new Set<string>(),
  ) {
    this.settings = parts.settings;
    this.terminal = parts.terminal;
    this.directories = parts.directories;
    this.signal = parts.signal;
    this.goesOn = parts.goesOn ?? false;
    this.isSaid = parts.isSaid ?? (() => false);
    this.#connectors = connectors;
    this.#warnings = warnings;
  }

  /** The same with another signal. The connections are those of this one, which ends them. */
  withSignal(signal: AbortSignal): RunContext {
    const { settings, terminal, directories, goesOn, isSaid } = this;
    return new RunContext(
      { settings, terminal, directories, signal, goesOn, isSaid },
      this.#connectors,
      this.#warnings,
    );
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

  /** The connector to a server, or to one of those that a saved remote has; the same one for the same place. */
  async connector(server: ServerText): Promise<Connector> {
    // TLS is most of what is loaded to connect, and not needed by those who never do.
    const [{ Connector }, servers] = await Promise.all([
      import('../client/connector.ts'),
      this.#serversOf(server),
    ]);
    const [{ calledBy, address }] = servers;
    // By name too: two saved remotes may be one server with two tokens.
    const name = `${calledBy ?? ''} ${formatAddress(address)}`;
    const isNew = !this.#connectors.has(name) && 'name' in server;
    const ordered = isNew ? await this.#inOrder(servers, server.name) : servers;
    const [first = servers[0], ...others] = ordered.map((each) => {
      return { ...each, accept: acceptance(this.settings, formatAddress(each.address)) };
    });
    const alternatives = { others, onMovingOn: this.#tellMovingOn };
    const present = this.#connectors.get(name) ?? new Connector(first, alternatives);
    this.#connectors.set(name, present);
    return present;
  }

  /** How to connect to a server, the first one of a saved remote: from the flags, the saved remote, other settings and the known servers, in that order. */
  async connectOptions(server: ServerText): Promise<ConnectOptions> {
    return (await this.#serversOf(server))[0];
  }

  async #serversOf(server: ServerText): Promise<[ConnectOptions, ...ConnectOptions[]]> {
    const saved = 'name' in server ? await (await this.remotes()).find(server.name) : undefined;
    const first = await this.#optionsFor(server, saved);
    const others = (saved?.also ?? []).map((other) => {
      // By its address: under the name of the remote, people mean the first.
      const address = parseAddress(other.address) as Address;
      return this.#optionsFor({ address: this.#withPort(address, other) }, other);
    });
    return [first, ...(await Promise.all(others))];
  }

  async #inOrder(servers: readonly ConnectOptions[], remote: string): Promise<ConnectOptions[]> {
    const balance = (this.settings['balance'] as Balance | undefined) ?? 'first';
    const isInTurn = balance === 'round-robin' && servers.length > 1;
    const turn = isInTurn ? await nextTurn(this.directories, remote) : 0;
    return balanced(servers, balance, { turn });
  }

  readonly #tellMovingOn = ({ code, message }: SealiftError, { address }: ConnectOptions): void => {
    const next = formatAddress(address);
    this.terminal.event('moved', { code, message, to: next });
    this.terminal.note(`sealift: ${printable(message)} Trying ${next}.`);
  };

  async #optionsFor(server: ServerText, saved: SavedServer | undefined): Promise<ConnectOptions> {
    const address = this.#addressOf(server, saved);
    const { insecure, compress, connectTimeout, timeout } = this.settings;
    const { ca, pin } = this.#settingsBeside(saved, ['ca', 'pins'], ['ca', 'pin']);
    const { cert, key } = this.#settingsBeside(saved, ['cert', 'key'], ['cert', 'key']);
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
      this.warnOnce(`--insecure: whoever answers at ${formatAddress(address)} is believed.`);
    const keyFile = (key as string | undefined) ?? saved?.key;
    if (keyFile !== undefined) await assertPrivate(keyFile);
    return {
      address,
      calledBy: this.#calledBy(server, saved, address),
      pins,
      isCaNamed: ca !== undefined,
      // Where a pin decides, nobody misses a file that is gone.
      ca: await certificates((ca as string | undefined) ?? (pins.length > 0 ? undefined : saved?.ca)),
      cert: await certificates((cert as string | undefined) ?? saved?.cert),
      key: await pem(keyFile),
      token: await this.#token(saved),
      insecure: insecure === true,
      compress: compress === true,
      connectTimeoutMs: connectTimeout as number,
      helloTimeoutMs: 2 * (connectTimeout as number),
      timeoutMs: timeout as number,
      onExpiring: (expiring) => this.warnOnce(expiryWarning(expiring)),
      signal: this.signal,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Each whatever becomes of the others: what stayed open would keep the process alive.
    const endings = [...this.#connectors.values()].map((connector) => connector[Symbol.asyncDispose]());
    const failed = (await Promise.allSettled(endings)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  /** For what each connection or file of a run would tell anew. */
  warnOnce(warning: string): void {
    if (!this.#warnings.has(warning)) this.terminal.warn(warning);
    this.#warnings.add(warning);
  }

  /**
   * The settings `names`, as far as they count beside what a saved remote says of the same matter: that is about this
   * server, and a file or the environment speaks of all. Of what was said for this command they count whole.
   */
  #settingsBeside(
    saved: SavedServer | undefined,
    keys: readonly (keyof SavedServer)[],
    names: readonly string[],
  ): Settings {
    const isSaved = keys.some((key) => saved?.[key] !== undefined);
    return isSaved && !names.some(this.isSaid) ? {} : this.settings;
  }

  // A saved remote by its name, under which its pins are kept, and by its port if another one was asked for.
  #calledBy(server: ServerText, saved: SavedServer | undefined, address: Address): string {
    if ('path' in address) return shellWord('name' in server ? server.name : `unix:${address.path}`);
    if (!('name' in server) || saved === undefined) return shellWord(formatAddress(address));
    return `${this.isSaid('port') ? `--port ${address.port} ` : ''}${shellWord(server.name)}`;
  }

  #addressOf(server: ServerText, saved: SavedServer | undefined): Address {
    if ('address' in server) return server.address;
    const address = saved === undefined ? undefined : parseAddress(saved.address);
    return this.#withPort(address ?? { host: server.name, port: DEFAULT_PORT }, saved);
  }

  #withPort(address: Address, saved: SavedServer | undefined): Address {
    const port = this.#settingsBeside(saved, ['address'], ['port'])['port'] as number | undefined;
    return 'path' in address || port === undefined ? address : { ...address, port };
  }

  async #token(saved: SavedServer | undefined): Promise<string | undefined> {
    const { tokenFile } = this.#settingsBeside(saved, ['token'], ['tokenFile']);
    if (typeof tokenFile === 'string') {
      await assertPrivate(tokenFile, 'token file');
      const token = (await readText(tokenFile)).trim();
      if (token === '') throw new SealiftError('bad-configuration', `The token file ${tokenFile} is empty.`);
      return token;
    }
    // Another server's must not be told to this one.
    if (saved?.token !== undefined) return saved.token;
    const exported = process.env['SEALIFT_TOKEN'];
    return exported === '' ? undefined : exported;
  }
}

/** The text of a PEM file of certificates. Checked here, because Node passes over what it cannot read in a CA file. */
export async function certificates(file: string | undefined): Promise<string | undefined> {
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
