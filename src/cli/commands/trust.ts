import type { X509Certificate } from 'node:crypto';
import { createInterface } from 'node:readline/promises';

import { Command } from 'commander';

import type { ConnectOptions } from '../../client/client.ts';
import { systemClock } from '../../clock.ts';
import { SealiftError } from '../../errors.ts';
import { formatAddress, type Address } from '../../transport/address.ts';
import { dial } from '../../transport/dial.ts';
import type { Peer } from '../../transport/peer.ts';
import { certificatePin } from '../../trust/pins.ts';
import { printable } from '../escape.ts';
import { EXIT } from '../exit-codes.ts';
import { parseServerText, type ServerText } from '../places.ts';
import type { Runner } from '../runner.ts';
import { addRemoteCommand } from '../remote-command.ts';
import type { RunContext } from '../run-context.ts';
import { setting } from '../settings.ts';
import type { Terminal } from '../terminal.ts';

/** `sealift trust HOST[:PORT]` */
export function addTrust(program: Command, run: Runner): void {
  const command = new Command('trust')
    .description('show the certificate of a server and, after asking, trust its key from now on')
    .argument('<server>', 'host, host:port or sealift://host:port')
    .addOption(setting('-y, --yes', 'do not ask: for a network that is trusted this once'))
    .addOption(
      setting('--replace', 'instead of the keys that are trusted already, after the server got a new one'),
    );
  addRemoteCommand(program, run, command, async (context, [text]) => {
    const { terminal, settings } = context;
    const server = parseServerText(String(text));
    const options = await context.connectOptions(server);
    const place = formatAddress(options.address);
    const { certificate } = await lookAt(options);
    if (certificate === undefined)
      throw new SealiftError('certificate-untrusted', `${place} presented no certificate.`);
    const pin = certificatePin(certificate);
    const keeper = await pinKeeper(context, server, options.address);
    if (keeper.pins.includes(pin)) {
      terminal.event('trust', { place, pin, added: false });
      terminal.note(`${place} is trusted already (${pin}).`);
      return EXIT.done;
    }
    showCertificate(terminal, certificate, pin);
    const replace = settings['replace'] === true;
    if (keeper.pins.length > 0 && !replace) {
      throw new SealiftError(
        'pin-mismatch',
        `${place} is trusted with another key (${keeper.pins.join(', ')}) and now shows ${pin}.`,
        { hint: `If its operator confirms the new key: sealift trust --replace ${String(text)}` },
      );
    }
    await confirm(context, place, pin);
    await keeper.keep(pin, replace);
    terminal.event('trust', { place, pin, added: true });
    terminal.note(`${place} is trusted from now on.`);
    return EXIT.done;
  });
}

/** Where the pins of a server are kept: with the saved remote, or among the known servers. */
async function pinKeeper(
  context: RunContext,
  server: ServerText,
  address: Address,
): Promise<{ pins: readonly string[]; keep(pin: string, replace: boolean): Promise<void> }> {
  const name = 'name' in server ? server.name : '';
  const remotes = await context.remotes();
  const saved = await remotes.find(name);
  if (saved?.pins !== undefined) {
    const { pins } = saved;
    return {
      pins,
      keep: (pin, replace) => remotes.save(name, { ...saved, pins: replace ? [pin] : [...pins, pin] }),
    };
  }
  const known = await context.knownServers();
  return { pins: known.pinsFor(address), keep: (pin, replace) => known.trust(address, pin, { replace }) };
}

function showCertificate(terminal: Terminal, certificate: X509Certificate, pin: string): void {
  const facts = {
    subject: certificate.subject,
    names: certificate.subjectAltName ?? '',
    issuer: certificate.issuer,
    'not before': certificate.validFrom,
    'not after': certificate.validTo,
    sha256: certificate.fingerprint256,
    pin,
  };
  for (const [name, value] of Object.entries(facts))
    terminal.note(`${name.padEnd(11)} ${printable(value).replaceAll('\\u000a', ', ')}`);
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

async function confirm(context: RunContext, place: string, pin: string): Promise<void> {
  const { settings, signal } = context;
  const expected = settings['pin'] as string[] | undefined;
  if (expected?.includes(pin) === true) return;
  if (expected !== undefined)
    throw new SealiftError('pin-mismatch', `${place} shows the key ${pin}, not the one that was expected.`);
  if (settings['yes'] === true) return;
  if (!process.stdin.isTTY) {
    throw new SealiftError(
      'certificate-untrusted',
      `${place} is not trusted, and there is no terminal to ask on.`,
      {
        hint: `Compare the pin with what its operator says, and run: sealift trust ${place} --pin ${pin}`,
      },
    );
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt
    .question('Does this match what the operator of the server says? Trust it? [y/N] ', { signal })
    .finally(() => prompt.close());
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new SealiftError('certificate-untrusted', `${place} was not trusted.`);
}
