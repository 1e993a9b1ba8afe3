import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';

import { mustRun } from '../commands.ts';
import { ended, freePort, listening, type Server } from './server.ts';

export interface SshServer extends Server {
  user: string;
  /** The client's private key. */
  key: string;
  /** Options of ssh and scp that let it in without questions, all but the port. */
  trust: readonly string[];
}

const SSHD = '/usr/sbin/sshd';
const SFTP = '/usr/lib/openssh/sftp-server';

/** Starts the OpenSSH server with its own defaults; undefined where it is not installed. */
export async function startSshd(directory: string): Promise<SshServer | undefined> {
  if (!existsSync(SSHD)) return undefined;
  const at = (name: string) => join(directory, name);
  for (const key of ['host', 'user'])
    await mustRun('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(key)]);
  const { username, uid } = userInfo();
  if (uid === 0) mkdirSync('/run/sshd', { recursive: true });
  mkdirSync(at('root'));
  const port = await freePort();
  const settings = [
    'ListenAddress=127.0.0.1',
    `AuthorizedKeysFile=${at('user.pub')}`,
    'StrictModes=no',
    'PidFile=none',
    'UsePAM=no',
    `Subsystem=sftp ${existsSync(SFTP) ? SFTP : 'internal-sftp'}`,
  ];
  const server = spawn(
    SSHD,
    [
      '-D',
      '-f',
      '/dev/null',
      '-p',
      String(port),
      '-h',
      at('host'),
      ...settings.flatMap((each) => ['-o', each]),
    ],
    { stdio: 'ignore' },
  );
  await listening(port);
  const trust = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'];
  return {
    pid: server.pid ?? 0,
    port,
    root: at('root'),
    isOneProcess: false,
    user: username,
    key: at('user'),
    trust: ['-F', 'none', '-i', at('user'), ...trust.flatMap((each) => ['-o', each])],
    stop: () => ended(server),
  };
}
