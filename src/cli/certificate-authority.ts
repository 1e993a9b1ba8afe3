import { hostname } from 'node:os';
import { join } from 'node:path';

import { systemClock } from '../clock.ts';
import { SealiftError } from '../errors.ts';
import { systemRandom } from '../random.ts';
import type { Authority, AuthorityFiles } from '../trust/ca/authority.ts';
import type { Issued } from '../trust/ca/issue.ts';
import { shellWord } from '../shell-word.ts';
import type { LeafFiles } from '../trust/ca/leaf-files.ts';
import { certificateFacts } from '../trust/certificate-facts.ts';
import { each } from './each.ts';
import { printable } from './escape.ts';
import { EXIT } from './exit-codes.ts';
import { askPassphrases, givenPassphrase } from './passphrase.ts';
import type { RunContext } from './run-context.ts';

/** How long the certificate of a CA is valid, unless told otherwise. */
export const CA_DAYS = 3_650;
/** The same of a certificate that it issues. More is refused by many who verify. */
export const LEAF_DAYS = 397;

/** `sealift cert init` */
export async function initialize(context: RunContext): Promise<number> {
  const { settings, terminal } = context;
  const { createAuthority, authorityFiles } = await import('../trust/ca/authority.ts');
  const directory = directoryOf(context);
  const passphrase =
    settings['askPassphrase'] === true ? await newPassphrase(context) : await givenPassphrase(context);
  const authority = await createAuthority(
    directory,
    {
      name: (settings['name'] as string | undefined) ?? `Sealift CA ${hostname()}`.slice(0, 64),
      days: settings['days'] as number,
      crlDays: settings['crlDays'] as number,
      passphrase,
    },
    SERVICES,
  );
  const files = authorityFiles(directory);
  tellAuthority(context, authority, files);
  terminal.note(
    `Made a CA: ${printable(files.certificate)}, for clients and servers to trust (--ca, --client-ca).`,
  );
  const protection =
    passphrase === undefined
      ? 'is not encrypted: whoever has it'
      : 'is encrypted: whoever has it and the passphrase';
  terminal.note(`Its key ${printable(files.key)} ${protection} can pass for anybody.`);
  return EXIT.done;
}

/** `sealift cert issue server NAME...`, `sealift cert issue client NAME` */
export async function issueOne(context: RunContext, [usage, names]: unknown[]): Promise<number> {
  const holders = names as string[];
  const [client = ''] = holders;
  if (usage === 'client' && holders.length > 1)
    throw new SealiftError('usage', 'A client has one name: issue a certificate for each.');
  const { issueCertificate } = await import('../trust/ca/issue.ts');
  const authority = await openCa(context);
  const holder = usage === 'server' ? { server: holders } : { client };
  const issued = await issueCertificate(authority, holder, context.settings['days'] as number);
  tellIssued(context, authority, issued, 'Issued');
  return EXIT.done;
}

/** `sealift cert renew [NAME...]`: first the list of revoked certificates, which is the most urgent, then the CA, by which the others end. */
export async function renewAll(context: RunContext, [given]: unknown[]): Promise<number> {
  const { settings, terminal } = context;
  const [{ authorityFiles, renewAuthority }, { renewCrl }, { dueNames, isDue, renewCertificate }] =
    await Promise.all([
      import('../trust/ca/authority.ts'),
      import('../trust/ca/authority-crl.ts'),
      import('../trust/ca/renew.ts'),
    ]);
  const days = settings['days'] as number | undefined;
  const named = given as string[];
  const isCaNamed = named.includes(CA);
  if (isCaNamed && settings['newKey'] === true)
    throw new SealiftError('usage', 'The CA keeps its key, by which what it issued is believed.', {
      hint: 'For a new key make another CA: sealift cert init --dir DIRECTORY',
    });
  let authority = await openCa(context);
  const crlDays = settings['crlDays'] as number;
  await renewCrl(authority, crlDays);
  terminal.note(`Signed ca.crl anew, for ${crlDays} days.`);
  if (isCaNamed || isDue(authority.certificate, authority)) {
    // Where the CA is not named, the days are those of what it issues.
    authority = await renewAuthority(authority, (isCaNamed ? days : undefined) ?? CA_DAYS);
    tellAuthority(context, authority, authorityFiles(authority.directory));
    terminal.note(
      `Renewed the CA, until ${authority.certificate.validTo}. Give its ca.pem to all who trust it.`,
    );
  }
  const names = named.length > 0 ? named.filter((name) => name !== CA) : await dueNames(authority);
  return each(context, 'cert renew', names, async (name) => {
    const files = await filesOf(authority, name);
    const leaf = { days: days ?? LEAF_DAYS, withNewKey: settings['newKey'] === true };
    tellIssued(context, authority, await renewCertificate(authority, files, leaf), 'Renewed');
  });
}

/** `sealift cert revoke WHAT` */
export async function revokeOne(context: RunContext, [what]: unknown[]): Promise<number> {
  const { settings, terminal } = context;
  const { revoke } = await import('../trust/ca/revoke.ts');
  const authority = await openCa(context);
  const { serials, added } = await revoke(authority, String(what), settings['crlDays'] as number);
  terminal.event('revoked', { serials, added });
  for (const serial of serials)
    terminal.note(`${added.includes(serial) ? 'Revoked' : 'Was revoked already'}: ${serial}`);
  if (serials.length === 0) terminal.note('There is nothing to revoke: all of it has expired.');
  return EXIT.done;
}

/** What `cert renew` calls the CA itself. No certificate is kept under that name. */
const CA = 'ca';
const SERVICES = { clock: systemClock, random: systemRandom };

function directoryOf({ settings, directories }: RunContext): string {
  return (settings['dir'] as string | undefined) ?? join(directories.config, 'certs');
}

async function openCa(context: RunContext): Promise<Authority> {
  const { openAuthority } = await import('../trust/ca/authority.ts');
  const passphrase = async () => {
    const given = await givenPassphrase(context);
    if (given !== undefined || !process.stdin.isTTY) return given;
    return (await askPassphrases(context, ['Passphrase of the CA: ']))[0];
  };
  return openAuthority(directoryOf(context), { passphrase, ...SERVICES });
}

async function newPassphrase(context: RunContext): Promise<string> {
  const questions = ['Passphrase for the key of the CA: ', 'Once more: '];
  const [passphrase = '', again] = await askPassphrases(context, questions);
  if (passphrase === again) return passphrase;
  throw new SealiftError('usage', 'The two passphrases differ.');
}

async function filesOf({ directory }: Authority, name: string): Promise<LeafFiles> {
  const [{ findLeaf }, { certCommand }] = await Promise.all([
    import('../trust/ca/leaf-files.ts'),
    import('../trust/ca/authority.ts'),
  ]);
  const files = await findLeaf(directory, name);
  if (files) return files;
  throw new SealiftError('local-not-found', `${directory} has no certificate for ${JSON.stringify(name)}.`, {
    hint: `To issue one: ${certCommand(`issue server ${shellWord(name)}`, directory)}, or client instead of server.`,
  });
}

function tellAuthority({ terminal }: RunContext, authority: Authority, files: AuthorityFiles): void {
  const certificate = certificateFacts(authority.certificate, systemClock);
  terminal.event('authority', { cert: files.certificate, key: files.key, crl: files.crl, certificate });
}

function tellIssued({ terminal }: RunContext, authority: Authority, issued: Issued, verb: string): void {
  const { files, certificate } = issued;
  terminal.event('issued', {
    name: files.name,
    cert: files.certificate,
    key: files.key,
    certificate: certificateFacts(certificate, systemClock),
  });
  terminal.note(`${verb} ${printable(files.certificate)}, until ${certificate.validTo}.`);
  if (certificate.validToDate.getTime() === authority.certificate.validToDate.getTime())
    terminal.warn(
      `${files.name} ends with the CA, on ${certificate.validTo}, and no later: renew that with cert renew ca.`,
    );
}
