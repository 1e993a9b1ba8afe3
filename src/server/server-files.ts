import type { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

import type { Clock } from '../clock.ts';
import { isSealiftError, SealiftError, systemCode } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { PERMISSIONS } from '../protocol/responses.ts';
import type { Random } from '../random.ts';
import { KeyedMutex } from '../storage/keyed-mutex.ts';
import { addPrincipal } from '../trust/add-principal.ts';
import type { RequestSigner } from '../trust/ca/client-request.ts';
import { isCertificateName } from '../trust/certificate-names.ts';
import { ClientAuthorities, type ClientTrust } from '../trust/client-trust.ts';
import type { Principal } from '../trust/grant.ts';
import { joinFields, newJoinCode } from '../trust/join-codes.ts';
import { certificatesIn } from '../trust/pem.ts';
import { certificatePin } from '../trust/pins.ts';
import { parsePrincipals } from '../trust/principals.ts';
import { assertPrivate, readPrivateFile } from '../trust/private-file.ts';
import { parseRevocationLists } from '../trust/revocation-list.ts';
import { loadOrCreateIdentity } from '../trust/server-identity.ts';
import { trustPath } from '../trust/trust-path.ts';
import { clientTrustEndings, serverCertificateEnding } from './endings.ts';
import type { Ending } from './expiry-warnings.ts';
import { FileWatch, stateOf } from './file-watch.ts';
import { clientSigner, exchangeJoinCode, type Joined, type JoinOffer } from './joining.ts';
import { statePaths } from './state-paths.ts';

/** PEM: its text, or the file that holds it, which is read again when it changes. */
export type Pem = string | { readonly file: string };

/** What a server shows, and by what it judges its clients. */
export interface ServerFilesOptions {
  /** The directory that is served. */
  root: string;
  /** The server's certificate with its chain, and its key. Default: a self-signed pair that is made once and kept with the data, for clients to pin. */
  cert?: Pem | undefined;
  key?: Pem | undefined;
  passphrase?: string | undefined;
  /** The authorities that sign client certificates. */
  clientCa?: Pem | undefined;
  /** The key of the first of them, with which clients that join get certificates. A certificate is then nothing without a principal of its name. */
  clientCaKey?: Pem | undefined;
  clientCaPassphrase?: string | undefined;
  /** What these authorities have called back. */
  crl?: Pem | undefined;
  /** The file that names the principals, which joining changes. Default: one that is kept with the data. */
  usersFile?: string | undefined;
}

/** Throws `bad-configuration` where something that is given needs something else that is not. */
export function assertGoTogether({ cert, key, clientCa, clientCaKey, crl }: ServerFilesOptions): void {
  const problem =
    (cert === undefined) !== (key === undefined)
      ? 'A certificate needs its key, and a key its certificate: give both or neither.'
      : clientCaKey !== undefined && clientCa === undefined
        ? 'The key of a client CA needs the certificate of that CA.'
        : crl !== undefined && clientCa === undefined
          ? 'A revocation list needs the CA that made it.'
          : undefined;
  if (problem !== undefined) throw new SealiftError('bad-configuration', problem);
}

/** All of it as it was read at one time. */
interface LoadedFiles {
  tls: { cert: string; key: string; passphrase: string | undefined; clientCa: string | undefined };
  /** The server's chain, its own first. */
  certificates: readonly [X509Certificate, ...X509Certificate[]];
  clientTrust: ClientTrust;
  signer: RequestSigner | undefined;
  /** Of the users file (file-watch.ts). */
  usersState: string;
}

type Options = ServerFilesOptions & { clock: Clock; random: Random; logger: Logger };

/** The files of a server as they were read last, and how they are read again and added to. */
export class ServerFiles {
  readonly #options: Options;
  /** Before they were read for the first time: what changes from then on must be seen, however long the start takes. */
  readonly #firstState: string;
  #loaded: LoadedFiles;
  /** Reading and joining take turns, so that neither goes back behind the other. */
  readonly #turns = new KeyedMutex();

  private constructor(options: Options, loaded: LoadedFiles, firstState: string) {
    this.#options = options;
    this.#loaded = loaded;
    this.#firstState = firstState;
  }

  /** Reads and judges all of them. Throws `bad-configuration`, with the file and what is wrong with it. */
  static async load(options: Options): Promise<ServerFiles> {
    const state = await stateOf(watchedPaths(options));
    return new ServerFiles(options, await loadServerFiles(options), state);
  }

  get tls(): LoadedFiles['tls'] {
    return this.#loaded.tls;
  }

  /** Of the server's key. */
  get pin(): string {
    return certificatePin(this.#loaded.certificates[0]);
  }

  get clientTrust(): ClientTrust {
    return this.#loaded.clientTrust;
  }

  /** When the first of the server's chain ends, in milliseconds since 1970. */
  get certificateEndsMs(): number {
    return Math.min(...this.#path.map(({ validToDate }) => validToDate.getTime()));
  }

  /** What they say is valid until some moment. */
  get endings(): Ending[] {
    return [...this.#path.map(serverCertificateEnding), ...clientTrustEndings(this.clientTrust)];
  }

  /** Those that vouch for the server, itself first: what else its file holds may end unnoticed. */
  get #path(): X509Certificate[] {
    return trustPath(this.#loaded.certificates, [], this.#options.clock).path;
  }

  get usersFile(): string {
    return usersFileOf(this.#options);
  }

  /** Calls `onChange` when one of them has changed since they were loaded. */
  watch(onChange: () => void): FileWatch {
    return new FileWatch(watchedPaths(this.#options), this.#options.clock, this.#firstState, onChange);
  }

  /** Reads them again. `use` takes the new certificate into use; what it throws, and `bad-configuration`, leave everything as it was. */
  reload(use: (tls: LoadedFiles['tls']) => void): Promise<void> {
    return this.#turns.run('', async () => {
      const loaded = await loadServerFiles(this.#options);
      use(loaded.tls);
      const { authorities } = this.clientTrust;
      const isSame = authorities?.pem === loaded.clientTrust.authorities?.pem;
      // The same ones stay the same object: whom they vouched for need not be asked for again.
      this.#loaded = isSame ? { ...loaded, clientTrust: { ...loaded.clientTrust, authorities } } : loaded;
    });
  }

  /**
   * Reads the users and the revocation list, each by itself, and uses what is in order: who was put out must not stay for
   * the fault of another file. Answers the names of the files that are used as they are now.
   */
  reloadJudgement(): Promise<string[]> {
    return this.#turns.run('', async () => {
      const { crl } = this.#options;
      const files: string[] = [];
      const used = (file: string) => () => void files.push(file);
      const faulty = () => undefined; // Reading everything has told of it.
      await this.#readUsers(await stateOf([this.usersFile])).then(used(this.usersFile), faulty);
      if (typeof crl === 'object') await this.#readRevocations().then(used(crl.file), faulty);
      return files;
    });
  }

  /** See `CreatedServer.issueJoinCode`. */
  issueJoinCode(): Promise<string> {
    return this.#turns.run('', async () => {
      const { clock, random } = this.#options;
      const code = newJoinCode(random);
      const fields = { permissions: PERMISSIONS, ...joinFields(code, clock) };
      const { principals } = await addPrincipal(this.usersFile, { fields }, this.#options);
      this.#use({ principals });
      return code;
    });
  }

  /** See `AuthenticationOptions.join`. */
  async join(offer: JoinOffer): Promise<Joined | undefined> {
    const welcome = await this.#turns.run('', () => this.#awaited(offer.code));
    if (welcome === undefined) return undefined;
    // Between two turns: opening its root may take long, and files that changed are not read later for that.
    await offer.letIn(welcome);
    return this.#turns.run('', async () => {
      const principal = await this.#awaited(offer.code);
      if (principal === undefined) return undefined;
      const options = { ...this.#options, usersFile: this.usersFile, signer: this.#loaded.signer };
      const exchanged = await exchangeJoinCode(principal, offer, options);
      if (exchanged === undefined) return undefined;
      this.#use({ principals: exchanged.principals });
      return exchanged.joined;
    });
  }

  // Another process may have issued the code just now. Whoever guesses must not make us read the file each time.
  async #awaited(code: string): Promise<Principal | undefined> {
    const find = () => this.clientTrust.principals.byJoinCode(code, this.#options.clock.now());
    const known = find();
    if (known !== undefined) return known;
    const usersState = await stateOf([this.usersFile]);
    if (usersState === this.#loaded.usersState) return undefined;
    // The watch reads the same, and then what is wrong stands in the log.
    await this.#readUsers(usersState).catch(() => undefined);
    return find();
  }

  async #readUsers(usersState: string): Promise<void> {
    this.#loaded = { ...this.#loaded, usersState };
    this.#use({ principals: parsePrincipals(await usersText(this.#options), this.usersFile) });
  }

  // By the authorities that are in use: it may be the new ones that are faulty.
  async #readRevocations(): Promise<void> {
    this.#use({ revocations: await revocationsOf(this.#options, this.clientTrust.authorities?.pem) });
  }

  #use(changed: Partial<ClientTrust>): void {
    this.#loaded = { ...this.#loaded, clientTrust: { ...this.clientTrust, ...changed } };
  }
}

async function loadServerFiles(options: Options): Promise<LoadedFiles> {
  const { passphrase, usersFile, clientCaKey } = options;
  const usersState = await stateOf([usersFileOf(options)]);
  const { cert, key } = await identityOf(options);
  const clientCa = await textOf(options.clientCa);
  const authorities =
    clientCa === undefined
      ? undefined
      : new ClientAuthorities(clientCa, nameOf(options.clientCa, 'The CA of client certificates'));
  return {
    tls: { cert, key, passphrase, clientCa: authorities?.pem },
    certificates: certificatesIn(cert, nameOf(options.cert, 'The certificate of the server')),
    clientTrust: {
      principals: parsePrincipals(await usersText(options), usersFileOf(options)),
      authorities,
      revocations: await revocationsOf(options, clientCa),
      // Of certificates that joining hands out, those count whose principal was not revoked since.
      trustsAuthorities: authorities !== undefined && usersFile === undefined && clientCaKey === undefined,
    },
    signer: await signerOf(options, clientCa),
    usersState,
  };
}

/** Those that are given as files, and the users. */
function watchedPaths(options: ServerFilesOptions): string[] {
  const { cert, key, clientCa, clientCaKey, crl } = options;
  const given = [cert, key, clientCa, clientCaKey, crl].flatMap((pem) =>
    typeof pem === 'object' ? [pem.file] : [],
  );
  return [...given, usersFileOf(options)];
}

function usersFileOf({ root, usersFile }: ServerFilesOptions): string {
  return usersFile ?? statePaths(root).users;
}

async function identityOf({
  root,
  cert,
  key,
  clock,
  random,
}: Options): Promise<{ cert: string; key: string }> {
  if (cert !== undefined && key !== undefined) {
    if (typeof key === 'object') await assertPrivate(key.file);
    return { cert: await textOf(cert), key: await textOf(key) };
  }
  // A host name that no certificate can bear is left out: clients pin the key anyway.
  const names = [...new Set(['localhost', '127.0.0.1', '::1', hostname()])].filter(isCertificateName);
  return loadOrCreateIdentity(statePaths(root).identity, { names, clock, random });
}

async function usersText(options: ServerFilesOptions): Promise<string> {
  const { usersFile } = options;
  if (usersFile === undefined) return (await readPrivateFile(usersFileOf(options))) ?? '';
  const text = await readPrivateFile(usersFile).catch((error: unknown) => {
    if (!isSealiftError(error, 'local-file')) throw error;
    // One that is given is a part of the configuration, as a certificate is.
    throw new SealiftError('bad-configuration', error.message, { cause: error });
  });
  if (text !== undefined) return text;
  throw new SealiftError('bad-configuration', `The users file ${usersFile} does not exist.`);
}

async function signerOf(
  { clientCa, clientCaKey, clientCaPassphrase: passphrase }: ServerFilesOptions,
  ca: string | undefined,
): Promise<RequestSigner | undefined> {
  if (clientCaKey === undefined || ca === undefined) return undefined;
  if (typeof clientCaKey === 'object') await assertPrivate(clientCaKey.file);
  const files = {
    caFile: nameOf(clientCa, 'The CA of client certificates'),
    keyFile: nameOf(clientCaKey, 'The key of the client CA'),
  };
  return clientSigner({ ca, key: await textOf(clientCaKey), passphrase }, files);
}

async function revocationsOf(
  { crl }: ServerFilesOptions,
  clientCa: string | undefined,
): Promise<ClientTrust['revocations']> {
  if (crl === undefined || clientCa === undefined) return undefined;
  return parseRevocationLists(await textOf(crl), clientCa, nameOf(crl, 'The revocation list'));
}

function nameOf(pem: Pem | undefined, otherwise: string): string {
  return typeof pem === 'object' ? pem.file : otherwise;
}

async function textOf(pem: Pem): Promise<string>;
async function textOf(pem: Pem | undefined): Promise<string | undefined>;
async function textOf(pem: Pem | undefined): Promise<string | undefined> {
  if (typeof pem !== 'object') return pem;
  try {
    return await readFile(pem.file, 'utf8');
  } catch (cause) {
    const reason = systemCode(cause) ?? String(cause);
    throw new SealiftError('bad-configuration', `${pem.file} cannot be read (${reason}).`, { cause });
  }
}
