import { addAbortSignal } from 'node:stream';
import { text } from 'node:stream/consumers';
import { resolve } from 'node:path';

import { Command } from 'commander';

import { connect, type ConnectOptions } from '../../client/connect.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { DEFAULT_PORT } from '../../protocol/limits.ts';
import { isPin } from '../../trust/pins.ts';
import { formatAddress } from '../../transport/address.ts';
import { disposing } from '../disposing.ts';
import { printable } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import { addConnectionOptions } from '../options.ts';
import { parseServerText, type ServerText } from '../places.ts';
import type { Runner } from '../runner.ts';
import { forgetCertificate, keepCertificate } from '../remote-certificate.ts';
import { serversOf, type SavedRemote, type SavedServer } from '../remotes.ts';
import type { RunContext } from '../run-context.ts';
import { standardInput } from '../standard-streams.ts';

/** `sealift remote add NAME URL`, `sealift remote list`, `sealift remote rm NAME` */
export function addRemote(program: Command, run: Runner): void {
  const remote = program
    .command('remote')
    .description('saved remotes: address, pins, token, client certificate');
  const add = new Command('add')
    .description('save a remote; a join code in the URL is exchanged for a token')
    .argument('<name>', 'to be used as name:path')
    .argument(
      '<url...>',
      "'sealift://HOST:PORT?pin=…&join=…', one for each of its servers; - reads from standard input",
    );
  remote.addCommand(addConnectionOptions(add).copyInheritedSettings(remote));
  run(add, async (context, [name, urls]) =>
    addRemoteServers(context, String(name), (urls as string[]).map(String)),
  );

  const list = remote.command('list').description('list the saved remotes');
  run(list, async (context) => {
    for (const [name, { also = [], ...first }] of await (await context.remotes()).all()) {
      const others = also.map(shown);
      context.terminal.event('remote', {
        name,
        ...shown(first),
        ...(others.length > 0 ? { also: others } : {}),
      });
      if (context.terminal.options.json) continue;
      for (const { address, login, pins } of [shown(first), ...others])
        context.terminal.data(
          printable(`${name}\t${address}\t${login}\t${pins.join(' ')}`).replaceAll('\\u0009', '\t'),
        );
    }
    return EXIT.done;
  });

  const remove = remote
    .command('rm')
    .description('forget a saved remote')
    .argument('<name>', 'a saved remote');
  run(remove, async (context, [name]) => {
    if (await (await context.remotes()).remove(String(name))) {
      await forgetCertificate(context.directories, String(name));
      return EXIT.done;
    }
    throw new SealiftError('local-not-found', `There is no remote ${JSON.stringify(name)}.`, {
      hint: 'sealift remote list tells those there are.',
    });
  });
}

async function addRemoteServers(
  context: RunContext,
  name: string,
  given: readonly string[],
): Promise<number> {
  const isPiped = given.length === 1 && given[0] === '-';
  const texts = isPiped
    ? (await text(addAbortSignal(context.signal, standardInput()))).trim().split(/\s+/)
    : given;
  const urls = texts.map((url) => parseUrl(url, isPiped));
  if (urls.length > 1 && urls.some(({ parameters }) => parameters.certificate === true))
    throw new SealiftError('usage', 'Of a remote with several servers none is asked for a certificate.');
  const remotes = await context.remotes();
  // Before the code in the URL is used up: it works only once.
  await remotes.assertSavable(name);
  const earlier = await remotes.find(name);
  const replaced = earlier === undefined ? [] : serversOf(earlier);
  await assertNoTokenLost(context, name, replaced, urls);
  let saved: SavedRemote | undefined;
  for (const url of urls) {
    saved = await addServer(context, name, url, {
      replaced: saved === undefined ? replaced : [],
      withServer: (server) =>
        saved === undefined ? server : { ...saved, also: [...(saved.also ?? []), server] },
    });
  }
  return EXIT.done;
}

/** Throws `local-exists` where the name is that of another server, whose token nobody else keeps. One that is joined again has told a new one. */
async function assertNoTokenLost(
  context: RunContext,
  name: string,
  replaced: readonly SavedServer[],
  urls: readonly RemoteUrl[],
): Promise<void> {
  const wanted = await Promise.all(
    urls.map(async ({ server, parameters }) => {
      const options = await context.connectOptions(placeOf(context, parseServerText(server)));
      const { address, pins, token } = { ...options, ...knownOf(options, parameters) };
      return { address: formatAddress(address), pins, token };
    }),
  );
  // By its key it is the same server at another address, too.
  const isWanted = ({ address, pins = [], token }: SavedServer) =>
    wanted.some(
      (each) =>
        each.address === address || each.token === token || each.pins.some((pin) => pins.includes(pin)),
    );
  const lost = replaced.find((server) => server.token !== undefined && !isWanted(server));
  if (lost === undefined) return;
  throw new SealiftError(
    'local-exists',
    `${name} is saved for ${lost.address} already, with a token that is kept nowhere else.`,
    { hint: `Choose another name, or forget that one first: sealift remote rm ${name}` },
  );
}

function shown({
  address,
  pins = [],
  token,
  cert,
}: SavedServer): Record<'address' | 'login', string> & { pins: string[] } {
  const login = token !== undefined ? 'token' : cert !== undefined ? 'certificate' : 'anonymous';
  return { address, pins, login };
}

/** How a server is saved. */
interface Saving {
  /** What has had the name until now. */
  replaced: readonly SavedServer[];
  withServer: (server: SavedServer) => SavedRemote;
}

/** Connects to a server, saves the remote as it is `withServer`, and resolves to that: what a server tells, it tells once. */
async function addServer(
  context: RunContext,
  name: string,
  { server, parameters }: RemoteUrl,
  { replaced, withServer }: Saving,
): Promise<SavedRemote> {
  const options = await context.connectOptions(placeOf(context, parseServerText(server)));
  const { pins, token } = knownOf(options, parameters);
  // Tried now: what is saved works, and a join code is exchanged at once, since it lives only 15 minutes.
  const login = parameters.join === undefined ? { token } : { token: undefined, join: parameters.join };
  const request = parameters.certificate === true ? await newRequest() : undefined;
  const certificateRequest = request?.request;
  const client = await connect({ ...options, pins, ...login, certificateRequest }).catch(hintAtNewCode);
  return disposing(client, async () => {
    const address = formatAddress(options.address);
    const known = {
      address,
      ...(pins.length > 0 ? { pins } : {}),
      ...optional('token', client.hello.token ?? token),
      ...filePaths(context),
    };
    const remotes = await context.remotes();
    // The token first, which is told once: whatever becomes of the certificate, it is kept. And no remote names files of
    // which one is new already, and the other still that of an earlier remote of this name.
    await remotes.save(name, withServer(known));
    const files = await keptCertificate(context, name, request?.key, client.hello.certificate);
    const saved = withServer({ ...known, ...files });
    if (files !== undefined) await remotes.save(name, saved);
    const { principal, permissions } = client.hello;
    const before = replaced.length > 0 ? { replaced: replaced.map(shown) } : {};
    context.terminal.event('remote', { name, address, pins, principal, permissions, ...before });
    const who = printable(principal ?? 'anonymous');
    const what = permissions.map(printable).join(', ');
    context.terminal.note(
      `Saved ${name}: ${address} as ${who} (${what})${inPlaceOf(replaced, saved)}. Try: sealift ls ${name}:`,
    );
    return saved;
  });
}

function hintAtNewCode(error: unknown): never {
  if (!isSealiftError(error, 'unauthenticated') || !error.message.includes('join code')) throw error;
  throw new SealiftError('unauthenticated', error.message, {
    cause: error,
    details: error.details,
    hint: 'For a new one, on the server: sealift token add NAME DIR --join, with --another for a NAME that is there already',
  });
}

function inPlaceOf(replaced: readonly SavedServer[], { token }: SavedServer): string {
  if (replaced.length === 0) return '';
  const addresses = replaced.map(({ address }) => address).join(', ');
  const isTokenGone = replaced.some((each) => each.token !== undefined && each.token !== token);
  return `, in place of the one for ${addresses}${isTokenGone ? ', whose token is forgotten' : ''}`;
}

/** What is known of a server before it is asked. */
function knownOf(options: ConnectOptions, { pins, token }: Parameters) {
  return { pins: pins.length > 0 ? pins : [...(options.pins ?? [])], token: token ?? options.token };
}

// A host is meant here, also where a remote of that name is saved already.
function placeOf({ settings }: RunContext, server: ServerText): ServerText {
  if ('address' in server) return server;
  return { address: { host: server.name, port: (settings['port'] as number | undefined) ?? DEFAULT_PORT } };
}

interface RemoteUrl {
  server: string;
  parameters: Parameters;
}

function parseUrl(url: string, isPiped: boolean): RemoteUrl {
  const [server = '', ...rest] = url.split('?');
  const parameters = parseQuery(rest.join('?'));
  if (parameters.certificate === true && parameters.join === undefined)
    throw new SealiftError('usage', 'The URL asks for a certificate, which comes with a join code only.');
  if (parameters.token !== undefined && !isPiped) {
    throw new SealiftError(
      'usage',
      'A token must not stand in an argument, where every process can read it.',
      { hint: 'Give the URL on standard input: sealift remote add NAME - < FILE' },
    );
  }
  return { server: server.replace(/\/$/, ''), parameters };
}

interface Parameters {
  pins: string[];
  token?: string;
  join?: string;
  /** Whether a certificate is to be asked for. */
  certificate?: boolean;
}

// Not URLSearchParams: it takes the plus sign of BASE64 for a space.
function parseQuery(query: string): Parameters {
  const result: Parameters = { pins: [] };
  for (const pair of query.split('&').filter((part) => part !== '')) {
    const [name = '', ...rest] = pair.split('=');
    const value = decoded(rest.join('='));
    if (name === 'pin' && isPin(value)) result.pins.push(value);
    else if (name === 'token' || name === 'join') result[name] = value;
    else if (pair === 'certificate') result.certificate = true;
    else
      throw new SealiftError(
        'usage',
        `The URL has a parameter ${JSON.stringify(name)} that is not understood.`,
        { hint: 'It takes pin=sha256//…, join=CODE, certificate and, on standard input, token=TOKEN.' },
      );
  }
  return result;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new SealiftError('usage', 'The URL has a percent sign that begins no character.', { cause });
  }
}

// Loaded only here: what makes requests is large.
async function newRequest(): Promise<{ key: string; request: string }> {
  const { createClientRequest } = await import('../../trust/ca/client-request.ts');
  return createClientRequest();
}

async function keptCertificate(
  { directories, terminal }: RunContext,
  name: string,
  key: string | undefined,
  certificate: string | undefined,
): Promise<Pick<SavedRemote, 'cert' | 'key'> | undefined> {
  if (key === undefined) return undefined;
  if (certificate === undefined) {
    terminal.warn('The server knows nothing of certificates for clients; the token alone is kept.');
    return undefined;
  }
  try {
    return await keepCertificate(directories, name, { certificate, key });
  } catch (error) {
    terminal.warn(`${name} is saved with its token alone: the certificate that came with it is not kept.`);
    throw error;
  }
}

// What is said for all servers goes on to hold without a copy, which would outlive its change. A pair is kept whole.
function filePaths({ settings, isSaid }: RunContext): Pick<SavedRemote, 'ca' | 'cert' | 'key'> {
  const { ca, cert, key } = settings;
  const said = { ...(isSaid('ca') ? { ca } : {}), ...(isSaid('cert') || isSaid('key') ? { cert, key } : {}) };
  const given = Object.entries(said).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(given.map(([name, path]) => [name, resolve(path)]));
}

function optional<K extends string>(name: K, value: string | undefined): Partial<Record<K, string>> {
  return value === undefined ? {} : ({ [name]: value } as Record<K, string>);
}
