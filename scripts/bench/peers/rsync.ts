import { inShell, quoted } from './shell.ts';
import type { Carrier } from './server.ts';
import type { SshServer } from './sshd.ts';

export interface RsyncWay {
  name: string;
  options: readonly string[];
  /** Where to connect to, if not to the server itself. */
  port?: number;
  /** What is copied is a directory: its contents are meant. */
  isTree?: boolean;
  /** Ends with what makes the copy survive a loss of power, as Sealift does always. */
  isSynced?: boolean;
}

/** `rsync` over ssh. */
export function rsync(server: SshServer, way: RsyncWay): Carrier {
  const { name, options, port = server.port, isTree = false, isSynced = false } = way;
  const slash = isTree ? '/' : '';
  const words = ['rsync', ...options, '-e', quoted(['ssh', '-p', String(port), ...server.trust])];
  const remote = (path: string) => `127.0.0.1:${server.root}/${path}`;
  const run = (from: string, to: string, synced: string) =>
    isSynced
      ? inShell(`${quoted([...words, from, to])} && ${quoted(['sync', '-f', synced])}`)
      : [...words, from, to];
  return {
    name,
    server,
    put: (source, path) => run(`${source}${slash}`, remote(path), server.root),
    get: (path, target) => run(`${remote(path)}${slash}`, target, server.root),
  };
}
