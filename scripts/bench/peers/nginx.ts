import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';

import { finished, mustRun } from '../commands.ts';
import { ended, freePort, listening, type Carrier, type Server } from './server.ts';

export interface NginxServer extends Server {
  certificate: string;
  /** Whether it was built with what takes a PUT. */
  takesFiles: boolean;
}

const NGINX = '/usr/sbin/nginx';

/** Starts nginx with TLS 1.3 and a certificate of its own; undefined where it is not installed. */
export async function startNginx(directory: string): Promise<NginxServer | undefined> {
  if (!existsSync(NGINX)) return undefined;
  const at = (name: string) => join(directory, name);
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('key.pem')];
  await mustRun('openssl', ['req', '-x509', '-days', '2', ...subject, ...key, '-out', at('cert.pem')]);
  mkdirSync(at('root'));
  const takesFiles = (await finished(NGINX, ['-V'])).errors.includes('http_dav_module');
  const port = await freePort();
  writeFileSync(at('nginx.conf'), configuration(directory, { port, takesFiles }));
  const server = spawn(NGINX, ['-c', at('nginx.conf'), '-e', at('error.log'), '-p', directory], {
    stdio: 'ignore',
  });
  await listening(port);
  return {
    pid: server.pid ?? 0,
    port,
    root: at('root'),
    isOneProcess: true,
    certificate: at('cert.pem'),
    takesFiles,
    stop: () => ended(server),
  };
}

/** `curl` of one file from nginx, and to it where it takes files. */
export function curl(server: NginxServer): Carrier {
  const words = ['curl', '-s', '-f', '--tlsv1.3', '--cacert', server.certificate];
  const url = (name: string) => `https://127.0.0.1:${server.port}/${name}`;
  return {
    name: 'curl+nginx',
    server,
    ...(server.takesFiles
      ? { put: (source: string, name: string) => [...words, '-T', source, url(name)] }
      : {}),
    get: (name, target) => [...words, '-o', target, url(name)],
  };
}

// One process and no log: what is measured is the transfer.
function configuration(
  directory: string,
  { port, takesFiles }: { port: number; takesFiles: boolean },
): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${directory}/tmp-${name};`,
  );
  return `daemon off; master_process off; pid ${directory}/nginx.pid;
${userInfo().uid === 0 ? 'user root;' : ''}
events {}
http {
  access_log off; sendfile on; client_max_body_size 0; ${temporary.join(' ')}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${directory}/cert.pem; ssl_certificate_key ${directory}/key.pem; ssl_protocols TLSv1.3;
    root ${directory}/root;
    ${takesFiles ? 'dav_methods PUT;' : ''}
  }
}
`;
}
