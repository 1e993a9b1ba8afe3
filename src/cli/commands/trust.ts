import { createInterface } from 'node:readline/promises';

import { Command } from 'commander';

import type { ConnectOptions } from '../../client/connect.ts';
import { systemClock } from '../../clock.ts';
import { SealiftError } from '../../errors.ts';
import { formatAddress, type Address } from '../../transport/address.ts';
import { dial } from '../../transport/dial.ts';
import { shellWord } from '../../shell-word.ts';
import type { Peer } from '../../transport/peer.ts';
import { certificateFacts } from '../../trust/certificate-facts.ts';
import { certificatePin } from '../../trust/pins.ts';
import { certificateLines } from '../certificate-display.ts';
import { EXIT } from '../exit-codes.ts';
import { pinKeeper, remotesTrusting, type PinKeeper } from '../pin-keeper.ts';
import { parseServerText } from '../places.ts';
import type { Runner } from '../runner.ts';
import { addRemoteCommand } from '../remote-command.ts';
import type { RunContext } from '../run-context.ts';
import { setting } from '../settings.ts';

/** `sealift trust HOST[:PORT]` */
export function addTrust(program: Command, run: Runner): void {
  const command = new Command('trust')
    .description('show the certificate of a server and, after asking, trust its key from now on')
    .argument('<server>', 'host, host:port or sealift://host:port')
    .addOption(setting('-y, --yes', 'do not ask: for a network that is trusted this once'))
    .addOption(
      setting('--replace', 'instead of the keys that are trusted already, after the server got a new one'),
    )
    .addOption(
      setting(
        '--add',
        'beside the keys that are trusted already; with --pin also one that the server will show later',
      ).conflicts('replace'),
    )
    .addOption(setting('--forget', 'trust none of its keys any more').conflicts(['replace', 'add', 'yes']));
  addRemoteCommand(program, run, command, async (context, [text]) => {
    const server = parseServerText(String(text));
    const options = await context.connectOptions(server);
    if (context.settings['forget'] === true) return forget(context, String(text), options.address);
    return look(context, options, await pinKeeper(context, server, options.address));
  });
}

async function look(context: RunContext, options: ConnectOptions, keeper: PinKeeper): Promise<number> {
  const { terminal, settings } = context;
  const place = formatAddress(options.address);
  const { calledBy = shellWord(place) } = options;
  const { certificate } = await lookAt(options);
  if (certificate === undefined)
    throw new SealiftError('certificate-untrusted', `${place} presented no certificate.`);
  const pin = certificatePin(certificate);
  const replace = settings['replace'] === true;
  const announced = announcedPins(context, keeper);
  if (keeper.isKept(pin)) {
    // With --add the key that is named may be one that is to come.
    if (settings['add'] !== true) isExpected(announced, place, pin);
    if (replace && keeper.pins.length > 1) return keepOnly(context, place, pin, keeper);
    terminal.event('trust', { place, pin, added: false });
    terminal.note(`${place} is trusted already (${pin}).`);
    return keepAnnounced(context, place, announced, keeper);
  }
  for (const line of certificateLines(certificateFacts(certificate, systemClock))) terminal.note(line);
  const others = keeper.pinsBeside(pin);
  if (others.length > 0 && !replace && settings['add'] !== true) {
    throw new SealiftError(
      'pin-mismatch',
      `${place} is trusted with another key (${others.join(', ')}) and now shows ${pin}.`,
      {
        hint: `If its operator confirms the new key: sealift trust --replace ${calledBy}, or --add if the other one is still in use.`,
        details: { presented: pin, trusted: others },
      },
    );
  }
  if (!isExpected(announced, place, pin)) await confirm(context, { calledBy, place }, pin);
  await keeper.keep(pin, replace);
  tellAdded(context, place, pin);
  return EXIT.done;
}

/** Ends the trust in all keys but the one that the server shows, which needs no question: it was answered before. */
async function keepOnly(context: RunContext, place: string, pin: string, keeper: PinKeeper): Promise<number> {
  await keeper.keep(pin, true);
  const forgotten = keeper.pins.filter((each) => each !== pin);
  context.terminal.event('trust', { place, pin, added: false, forgotten });
  context.terminal.note(`${place} is trusted with ${pin} only; no more with ${forgotten.join(', ')}.`);
  return EXIT.done;
}

/** Keeps keys that the operator has announced, and that a server which is trusted already does not show yet. */
async function keepAnnounced(
  context: RunContext,
  place: string,
  announced: readonly string[] | undefined,
  keeper: PinKeeper,
): Promise<number> {
  if (context.settings['add'] !== true) return EXIT.done;
  for (const pin of (announced ?? []).filter((each) => !keeper.isKept(each))) {
    await keeper.keep(pin, false);
    tellAdded(context, place, pin);
  }
  return EXIT.done;
}

function tellAdded({ terminal }: RunContext, place: string, pin: string): void {
  terminal.event('trust', { place, pin, added: true });
  terminal.note(`${place} is trusted from now on (${pin}).`);
}

async function forget(context: RunContext, text: string, address: Address): Promise<number> {
  const place = formatAddress(address);
  const noneKept = (hint: string) =>
    new SealiftError('local-not-found', `No key of ${place} is kept by sealift trust.`, { hint });
  if ((await (await context.remotes()).find(text)) !== undefined)
    throw noneKept(`To forget the saved remote: sealift remote rm ${shellWord(text)}`);
  const isForgotten = await (await context.knownServers()).forget(address);
  if (isForgotten) context.terminal.event('forgotten', { place });
  await assertTrustedNowhere(context, address);
  if (!isForgotten) throw noneKept('Look for it with: sealift remote list');
  context.terminal.note(`${place} is trusted no more.`);
  return EXIT.done;
}

// Their pins stay: without any, a remote would believe whom a CA vouches for.
async function assertTrustedNowhere(context: RunContext, address: Address): Promise<void> {
  const names = await remotesTrusting(context, address);
  if (names.length === 0) return;
  const place = formatAddress(address);
  const remotes = `saved remote${names.length > 1 ? 's' : ''} ${names.join(', ')}`;
  const removals = names.map((name) => `sealift remote rm ${shellWord(name)}`).join('; ');
  throw new SealiftError('pin-mismatch', `${place} is still trusted by the ${remotes}.`, {
    hint: `If it has a new key: sealift trust --replace ${shellWord(place)}. To forget ${names.length > 1 ? 'them' : 'it'}: ${removals}`,
  });
}

/** Looks at a server without believing it: nothing is sent but the TLS handshake. */
async function lookAt({ address, signal, connectTimeoutMs, ...tls }: ConnectOptions): Promise<Peer> {
  const { connection, peer } = await dial({
    address,
    tls,
    connectTimeoutMs,
    signal,
    clock: systemClock,
    verify: () => undefined,
  });
  connection.destroy();
  return peer;
}

async function confirm(
  context: RunContext,
  { calledBy, place }: { calledBy: string; place: string },
  pin: string,
): Promise<void> {
  const { settings, signal } = context;
  if (settings['yes'] === true) return;
  if (!process.stdin.isTTY) {
    const how = (['replace', 'add'] as const).filter((name) => settings[name] === true);
    const command = ['sealift trust', ...how.map((name) => `--${name}`), calledBy, '--pin', pin].join(' ');
    throw new SealiftError(
      'certificate-untrusted',
      `${place} is not trusted, and there is no terminal to ask on.`,
      {
        hint: `Compare the pin with what its operator says, and run: ${command}`,
      },
    );
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  // While it asks, the terminal does not turn Ctrl-C into a signal.
  prompt.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  const answer = await prompt
    .question('Does this match what the operator of the server says? Trust it? [y/N] ', { signal })
    .catch((error: unknown) => {
      // The end of the input is no consent.
      if (signal.aborted || !(error instanceof Error && error.name === 'AbortError')) throw error;
      return '';
    })
    .finally(() => prompt.close());
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new SealiftError('certificate-untrusted', `${place} was not trusted.`);
}

/** The keys that --pin names. For a saved remote with pins of its own, those that hold for all servers say nothing. */
function announcedPins({ settings, isSaid }: RunContext, { isOfRemote }: PinKeeper): string[] | undefined {
  return isOfRemote && !isSaid('pin') ? undefined : (settings['pin'] as string[] | undefined);
}

/** Whether this key is among those that were announced. Throws `pin-mismatch` if only others are. */
function isExpected(announced: readonly string[] | undefined, place: string, pin: string): boolean {
  if (announced?.includes(pin) !== false) return announced !== undefined;
  throw new SealiftError('pin-mismatch', `${place} shows the key ${pin}, not the one that was expected.`, {
    hint: 'Ask its operator which one is right; --add accepts one that a server which is trusted will show later.',
  });
}
