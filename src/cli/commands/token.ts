import type { Command } from 'commander';

import { systemClock } from '../../clock.ts';
import { isSealiftError, SealiftError } from '../../errors.ts';
import { PERMISSIONS } from '../../protocol/responses.ts';
import { systemRandom } from '../../random.ts';
import { shellWord } from '../../shell-word.ts';
import { addCredential, addPrincipal } from '../../trust/add-principal.ts';
import { JOIN_CODE_LIFETIME_MS, joinFields, newJoinCode } from '../../trust/join-codes.ts';
import { parsePrincipals } from '../../trust/principals.ts';
import { readPrivateFile } from '../../trust/private-file.ts';
import { revokeOlderTokens, revokePrincipal } from '../../trust/revoke-principal.ts';
import { hashToken, newToken } from '../../trust/tokens.ts';
import { formatDuration, parseDuration } from '../../units.ts';
import { EXIT } from '../exit-codes.ts';
import { addGrantOptions, givenGrant } from '../grant-options.ts';
import { joinLine } from '../join-line.ts';
import { linesSetting } from '../lines-setting.ts';
import { parsePin } from '../options.ts';
import { tellPrincipals } from '../principal-display.ts';
import type { Runner } from '../runner.ts';
import type { RunContext } from '../run-context.ts';
import { reachableServer, servedDirectory, type ServedDirectory } from '../served-directory.ts';
import { setting } from '../settings.ts';

/** `sealift token add NAME [DIR]`, `token list [DIR]`, `token revoke NAME [DIR]` */
export function addToken(program: Command, run: Runner): void {
  const token = program.command('token').description('who may log in to a server of this machine');

  const add = withDirectory(
    token
      .command('add')
      .description('let one more in: prints a new token, or with --join the line that a client runs')
      .argument('<name>', 'what the new principal is called'),
  )
    .addOption(setting('--another', 'one more token or join code for a principal that there is already'))
    .addOption(setting('--join', 'print a line that a client runs once, instead of a token'))
    .addOption(
      setting('--join-expires <duration>', 'how long that line works', parseDuration).default(
        JOIN_CODE_LIFETIME_MS,
        '15m',
      ),
    )
    .addOption(setting('--certificate', 'with --join: the client also gets a certificate'))
    .addOption(setting('--url <server>', 'with --join: where clients reach the server, as HOST:PORT'))
    .addOption(setting('--cert <file>', 'with --join: the certificate that the server shows'))
    .addOption(
      linesSetting(
        '--pin <pin>',
        'no token, but the client certificate with this key (repeatable)',
        parsePin,
      ),
    )
    .addOption(
      linesSetting(
        '--certificate-name <name>',
        'no token, but a client certificate of this name, which the client CA signed (repeatable)',
      ),
    );
  run(addGrantOptions(add), addOne);

  const list = withDirectory(token.command('list').description('list who may log in, and how'));
  run(list, async (context, [directory]) => {
    const { usersFile } = await servedDirectory(directory, context.settings);
    const text = (await readPrivateFile(usersFile)) ?? '';
    tellPrincipals(context.terminal, parsePrincipals(text, usersFile));
    return EXIT.done;
  });

  const revoke = withDirectory(
    token
      .command('revoke')
      .description('let a principal in no more; its connections are cut within seconds')
      .argument('<name>'),
  ).addOption(setting('--except-newest', 'revoke the older tokens only'));
  run(revoke, revokeOne);
}

function withDirectory(command: Command): Command {
  return command
    .argument('[directory]', 'the one that is served (default: ./sealift-data)')
    .addOption(setting('--users <file>', 'the users file (default: the one in use there)'));
}

async function addOne(context: RunContext, [name, directory]: unknown[]): Promise<number> {
  const { settings } = context;
  assertCompatible(settings);
  const served = await servedDirectory(directory, settings);
  if (settings['join'] === true) return addJoin(context, String(name), served);
  const { pin: pins, certificateName: names } = settings as { pin?: string[]; certificateName?: string[] };
  if (pins === undefined && names === undefined) return addNewToken(context, String(name), served);
  const credentials = { ...(pins && { pins }), ...(names && { names }) };
  await addNew(context, String(name), served, credentials);
  return EXIT.done;
}

async function addNewToken(context: RunContext, name: string, served: ServedDirectory): Promise<number> {
  const { terminal, settings } = context;
  const token = newToken(systemRandom);
  const hash = hashToken(token);
  if (settings['another'] === true) await addCredential(served.usersFile, name, { token: hash });
  else await addNew(context, name, served, { tokens: [hash] });
  terminal.event('token', { name, token });
  if (!terminal.options.json) terminal.data(token);
  return EXIT.done;
}

async function addJoin(context: RunContext, name: string, served: ServedDirectory): Promise<number> {
  const { terminal, settings } = context;
  // Before anything is written down: without an address there is no line.
  const { address, pin } = await reachableServer(served, settings);
  const lifetimeMs = settings['joinExpires'] as number;
  const code = newJoinCode(systemRandom);
  const fields = joinFields(code, systemClock, lifetimeMs);
  if (settings['another'] === true) await addCredential(served.usersFile, name, fields);
  else await addNew(context, name, served, fields);
  const line = joinLine({ address, pin, code, certificate: settings['certificate'] === true });
  terminal.event('join', { name, command: line, code, expires: fields['join-expires'].toISOString() });
  terminal.note(
    `Run this line on the client within ${formatDuration(lifetimeMs).replace(/m00s$/, 'm')}; it works once:`,
  );
  if (!terminal.options.json) terminal.data(line);
  return EXIT.done;
}

async function addNew(
  { terminal, settings }: RunContext,
  name: string,
  { root, usersFile, server }: ServedDirectory,
  credentials: Readonly<Record<string, unknown>>,
): Promise<void> {
  const fields = { permissions: [...PERMISSIONS], ...givenGrant(settings), ...credentials };
  const { principal } = await addPrincipal(usersFile, { name, fields }).catch((error: unknown) => {
    if (!isSealiftError(error, 'local-exists') || settings['join'] !== true) throw error;
    // Of the directory, too: the line says where its server listens.
    const again = `sealift token add ${name} ${shellWord(root)} --another --join --users ${shellWord(usersFile)}`;
    const hint = `To let one more client join for it: ${again}`;
    throw new SealiftError('local-exists', error.message, { cause: error, hint });
  });
  const soon = server === undefined ? '' : ' The server knows within three seconds.';
  terminal.note(`Added ${name} (${[...principal.permissions].join(', ')}) to ${usersFile}.${soon}`);
}

async function revokeOne(context: RunContext, [given, directory]: unknown[]): Promise<number> {
  const { terminal, settings } = context;
  const name = String(given);
  const { usersFile } = await servedDirectory(directory, settings);
  if (settings['exceptNewest'] === true) {
    const count = await revokeOlderTokens(usersFile, name);
    terminal.event('revoked', { name, tokens: count });
    terminal.note(`Revoked ${count} older ${count === 1 ? 'token' : 'tokens'} of ${name}.`);
    return EXIT.done;
  }
  await revokePrincipal(usersFile, name);
  terminal.event('revoked', { name });
  terminal.note(`Revoked ${name}. A server that runs cuts its connections within three seconds.`);
  return EXIT.done;
}

function assertCompatible(settings: RunContext['settings']): void {
  const { join, another, pin, certificateName, certificate, url, cert } = settings;
  const hasCertificate = pin !== undefined || certificateName !== undefined;
  if (join === true && hasCertificate)
    throw new SealiftError('usage', '--join is for a client that has no certificate yet.');
  if (join !== true && (certificate === true || url !== undefined || cert !== undefined))
    throw new SealiftError('usage', '--certificate, --url and --cert belong to --join.');
  if (another !== true) return;
  const [extra] = hasCertificate ? ['certificates'] : Object.keys(givenGrant(settings));
  if (extra === undefined) return;
  throw new SealiftError('usage', `With --another nothing changes but the logins: not ${extra}.`, {
    hint: 'To change the rest, edit the users file: a server that runs reads it again.',
  });
}
