import { isInstalled } from '../support/installed.ts';

/** Whether the openssl program is there, as a second opinion on what is made here. */
export const hasOpenssl = isInstalled('openssl', 'version');
