import { mkdirSync } from 'node:fs';

import { formatAddress } from '../../src/transport/address.ts';
import type { Pair } from './certificates.ts';
import type { CliHome } from './cli.ts';

/** A server of another make, as `doctor` takes it. */
export type Place = string;

/** `openssl s_server` on a free port, until its home is closed. */
export async function opensslServer(
  home: CliHome,
  name: string,
  pair: Pair,
  args: readonly string[] = [],
): Promise<Place> {
  const { cert, key } = pairFiles(home, name, pair);
  const given = ['-accept', '127.0.0.1:0', '-cert', cert, '-key', key, '-www', ...args];
  const started = home.startCommand(['openssl', 's_server', ...given]);
  const line = await started.line((text) => text.startsWith('ACCEPT '));
  return line.slice('ACCEPT '.length);
}

/** One site of `nginx`. */
export interface Site {
  /** Without one it speaks no TLS. */
  pair?: Pair;
  /** Further lines of its configuration. */
  lines?: string;
}

/** `nginx` on a socket for each of `sites`, until its home is closed. */
export async function nginxServers<Name extends string>(
  home: CliHome,
  sites: Record<Name, Site>,
): Promise<Record<Name, Place>> {
  const names = Object.keys(sites) as Name[];
  const servers = names.map((name) => siteText(home, name, sites[name]));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  mkdirSync(home.at('nginx'));
  const paths = temporary.map((kind) => `${kind}_temp_path ${home.at('nginx', kind)};`).join(' ');
  const file = home.write(
    'nginx.conf',
    `daemon off; master_process off; pid ${home.at('nginx.pid')}; error_log stderr notice; events {}
     http { access_log off; ${paths} ${servers.join('\n')} }`,
  );
  const started = home.startCommand(['nginx', '-p', home.directory, '-e', 'stderr', '-c', file]);
  await started.line((text) => text.includes('OS: '));
  return Object.fromEntries(
    names.map((name) => [name, formatAddress({ path: home.at(`${name}.sock`) })]),
  ) as Record<Name, Place>;
}

function siteText(home: CliHome, name: string, { pair, lines = '' }: Site): string {
  const socket = home.at(`${name}.sock`);
  if (pair === undefined) return `server { listen unix:${socket}; return 200 "plain"; ${lines} }`;
  const { cert, key } = pairFiles(home, name, pair);
  const tls = `ssl_certificate ${cert}; ssl_certificate_key ${key};`;
  return `server { listen unix:${socket} ssl; ${tls} ${lines} location / { return 200 "secure"; } }`;
}

/** `stunnel` on a free port, until its home is closed. */
export async function stunnelServer(home: CliHome, name: string, pair: Pair, lines = ''): Promise<Place> {
  const { cert, key } = pairFiles(home, name, pair);
  const file = home.write(
    `${name}.conf`,
    `foreground = yes\nsyslog = no\npid =\ndebug = 7\n[${name}]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:1\n` +
      `cert = ${cert}\nkey = ${key}\n${lines}\n`,
  );
  const started = home.startCommand(['stunnel4', file]);
  const bound = /bound to (127\.0\.0\.1:\d+)/;
  return bound.exec(await started.line((text) => bound.test(text)))?.[1] ?? '';
}

/** Writes a certificate and its key; answers with both files. */
function pairFiles(home: CliHome, name: string, { cert, key }: Pair): { cert: string; key: string } {
  return { cert: home.write(`${name}.pem`, cert), key: home.write(`${name}.key`, key) };
}
