import type { Carrier } from './server.ts';
import type { SshServer } from './sshd.ts';

/** `rclone` over SFTP, of one file or of a tree. */
export function rclone(server: SshServer, { isTree = false } = {}): Carrier {
  const action = isTree ? 'copy' : 'copyto';
  const host = ['--sftp-host', '127.0.0.1', '--sftp-port', String(server.port)];
  // Digests it would have made by a command for each file; the others make none at all.
  const plain = ['--sftp-disable-hashcheck'];
  const words = [
    'rclone',
    action,
    '-q',
    ...host,
    '--sftp-user',
    server.user,
    '--sftp-key-file',
    server.key,
    ...plain,
  ];
  const remote = (name: string) => `:sftp:${server.root}/${name}`;
  return {
    name: 'rclone sftp',
    server,
    put: (source, name) => [...words, source, remote(name)],
    get: (name, target) => [...words, remote(name), target],
  };
}
