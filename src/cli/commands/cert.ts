import { Argument, type Command, type Option } from 'commander';

import { parseCount } from '../../units.ts';
import { CA_DAYS, initialize, issueOne, LEAF_DAYS, renewAll, revokeOne } from '../certificate-authority.ts';
import type { Runner } from '../runner.ts';
import { setting } from '../settings.ts';
import { showCertificates } from '../show-certificates.ts';

/** `sealift cert init`, `cert issue`, `cert show`, `cert renew`, `cert revoke` */
export function addCert(program: Command, run: Runner): void {
  const cert = program.command('cert').description('a private CA, and the certificates that it issues');

  const init = cert
    .command('init')
    .description('make a CA: ca.pem, ca.key and an empty ca.crl')
    .addOption(setting('--name <name>', 'what it is called (default: after this machine)'))
    .addOption(daysOption(CA_DAYS))
    .addOption(crlDaysOption())
    .addOption(setting('--ask-passphrase', 'ask on the terminal for one that encrypts the key'));
  run(withCaOptions(init), initialize);

  const issue = cert
    .command('issue')
    .description('issue a certificate, as NAME.pem and NAME.key after the first name (_ stands for * and :)')
    .addArgument(new Argument('<usage>', 'what it is for').choices(['server', 'client']))
    .argument('<name...>', 'of a server: host names and IP addresses; of a client: who it is')
    .addOption(daysOption(LEAF_DAYS));
  run(withCaOptions(issue), issueOne);

  const show = cert
    .command('show')
    .description(
      'print what certificates say: those of a file, of a list of revoked ones, or of any TLS server',
    )
    .argument('<place>', 'FILE or HOST:PORT');
  run(show, showCertificates);

  const renew = cert
    .command('renew')
    .description(
      'renew what expires within 30 days, or what is named: same names and key; and ca.crl each time',
    )
    .argument('[name...]', 'as they were issued; ca is the CA itself')
    .addOption(
      daysOption(
        undefined,
        `of the new certificates (default: ${LEAF_DAYS}); of the CA where it is named (default: ${CA_DAYS})`,
      ),
    )
    .addOption(crlDaysOption())
    .addOption(setting('--new-key', 'with a new key, and thus a new pin'))
    .addHelpText(
      'after',
      '\nThe certificate before stays valid until it expires, or until NAME is revoked.\nWhat the CA issued is believed with its old certificate as with its new one,\nsince its key stays.',
    );
  run(withCaOptions(renew), renewAll);

  const revoke = cert
    .command('revoke')
    .description('put certificates on ca.crl, for serve --crl')
    .argument('<what>', 'NAME: all that were issued for it; FILE: all for the same key; or a serial number')
    .addOption(crlDaysOption());
  run(withCaOptions(revoke), revokeOne);
}

const CRL_DAYS = 90;

function withCaOptions(command: Command): Command {
  return command
    .addOption(
      setting('--dir <directory>', 'where the CA is (default: certs in the configuration directory)'),
    )
    .addOption(setting('--passphrase-file <file>', 'the passphrase of its key (else SEALIFT_PASSPHRASE)'));
}

function daysOption(days: number | undefined, description = 'how long it is valid'): Option {
  const option = setting('--days <count>', description, (text) => parseCount(text, 1));
  return days === undefined ? option : option.default(days);
}

function crlDaysOption(): Option {
  const parse = (text: string) => parseCount(text, 1);
  return setting('--crl-days <count>', 'how long ca.crl is up to date', parse).default(CRL_DAYS);
}
