import { spawnSync } from 'node:child_process';

/** Whether the openssl program is there, as a second opinion on what is made here. */
export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
