import { inShell, quoted } from './shell.ts';
import type { Carrier } from './server.ts';
import type { SshServer } from './sshd.ts';

/** A tree through `tar` and `ssh`: what people type where many small files are slow. */
export function tarOverSsh(server: SshServer): Carrier {
  const ssh = (command: string) =>
    quoted(['ssh', '-p', String(server.port), ...server.trust, '127.0.0.1', command]);
  const pack = (directory: string) => quoted(['tar', '-C', directory, '-c', '.']);
  const unpack = (directory: string) =>
    `${quoted(['mkdir', directory])} && ${quoted(['tar', '-C', directory, '-x'])}`;
  return {
    name: 'tar over ssh',
    server,
    put: (source, name) => inShell(`${pack(source)} | ${ssh(unpack(`${server.root}/${name}`))}`),
    get: (name, target) => inShell(`${ssh(pack(`${server.root}/${name}`))} | (${unpack(target)})`),
  };
}
