import type { Carrier } from './server.ts';
import type { SshServer } from './sshd.ts';

/** `scp` of one file, or with `-r` of a tree. */
export function scp(server: SshServer, { name = 'scp', options = [] as readonly string[] } = {}): Carrier {
  const words = ['scp', '-q', '-P', String(server.port), ...server.trust, ...options];
  const remote = (path: string) => `127.0.0.1:${server.root}/${path}`;
  return {
    name,
    server,
    put: (source, path) => [...words, source, remote(path)],
    get: (path, target) => [...words, remote(path), target],
  };
}
