import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { finished } from '../commands.ts';
import { curl, startNginx, type NginxServer } from './nginx.ts';
import { rclone } from './rclone.ts';
import { rsync, type RsyncWay } from './rsync.ts';
import { scp } from './scp.ts';
import { sealiftFiles, sealiftSync, sealiftTrees, startSealift, type SealiftServer } from './sealift.ts';
import type { Carrier } from './server.ts';
import { startSshd, type SshServer } from './sshd.ts';
import { tarOverSsh } from './tar.ts';

/** Everybody who takes part, with servers that run. Those that are not installed are left out. */
export interface Peers {
  sealift: SealiftServer;
  /** Programs that carry one file. */
  files: readonly Carrier[];
  /** Programs that carry a tree, its contents to or from a directory that is not there yet. */
  trees: readonly Carrier[];
  /** Programs that make a tree like another, and send only what differs. */
  syncing: readonly Carrier[];
  /** For rsync in another way; undefined where rsync or the ssh server is missing. */
  rsyncServer: SshServer | undefined;
}

export interface PeersOptions {
  /** The file of Sealift that is run. */
  program: string;
  directory: string;
  /** On a disk, peers are also run with a sync at their end, which is part of each run of Sealift. */
  isDisk: boolean;
  /** Says that a Debian package is missing. */
  missing: (packageName: string) => void;
  /** Called with what ends a server, as soon as it runs. */
  onEnd: (stop: () => Promise<void>) => void;
}

/** Starts every server in a directory of its own. */
export async function startPeers({
  program,
  directory,
  isDisk,
  missing,
  onEnd,
}: PeersOptions): Promise<Peers> {
  const own = (name: string) => {
    mkdirSync(join(directory, name));
    return join(directory, name);
  };
  const installed = async (name: string) => {
    if ((await finished('bash', ['-c', `command -v ${name}`])).code === 0) return true;
    missing(name);
    return false;
  };
  const sealift = await startSealift(program, own('sealift'));
  onEnd(sealift.stop);
  const sshd = await startSshd(own('ssh'));
  if (sshd) onEnd(sshd.stop);
  else missing('openssh-server');
  const nginx = await startNginx(own('nginx'));
  if (nginx) onEnd(nginx.stop);
  else missing('nginx-light');
  const has = {
    rsync: await installed('rsync'),
    curl: await installed('curl'),
    rclone: await installed('rclone'),
  };
  const copies = sshd ? overSsh(sshd, has, isDisk) : undefined;
  return {
    sealift,
    files: [sealiftFiles(sealift), ...(copies?.files ?? []), ...fromNginx(nginx, has.curl)],
    trees: [sealiftTrees(sealift), ...(copies?.trees ?? [])],
    syncing: [sealiftSync(sealift), ...(copies?.syncing ?? [])],
    rsyncServer: has.rsync ? sshd : undefined,
  };
}

function overSsh(
  server: SshServer,
  has: { rsync: boolean; rclone: boolean },
  isDisk: boolean,
): Pick<Peers, 'files' | 'trees' | 'syncing'> {
  const ifRsync = (...ways: RsyncWay[]) => (has.rsync ? ways.map((way) => rsync(server, way)) : []);
  const ifDisk = (way: RsyncWay): RsyncWay[] =>
    isDisk ? [{ ...way, name: `${way.name}, sync`, isSynced: true }] : [];
  const whole: RsyncWay = { name: 'rsync -W', options: ['-W'] };
  const tree: RsyncWay = { name: 'rsync -a', options: ['-a'], isTree: true };
  const fastest = { name: 'scp, AES-128-GCM', options: ['-c', 'aes128-gcm@openssh.com'] };
  return {
    files: [
      scp(server),
      scp(server, fastest),
      ...ifRsync(whole, ...ifDisk(whole)),
      ...(has.rclone ? [rclone(server)] : []),
    ],
    trees: [
      ...ifRsync(tree, ...ifDisk(tree)),
      scp(server, { name: 'scp -r', options: ['-r'] }),
      tarOverSsh(server),
      ...(has.rclone ? [rclone(server, { isTree: true })] : []),
    ],
    syncing: ifRsync({ ...tree, options: ['-a', '--stats'] }),
  };
}

function fromNginx(server: NginxServer | undefined, hasCurl: boolean): Carrier[] {
  return server && hasCurl ? [curl(server)] : [];
}
