import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { silentLogger } from '../../src/logger.ts';
import { formatAddress } from '../../src/transport/address.ts';
import { CliHome } from '../support/cli.ts';
import { startDirectoryServer } from '../support/test-server.ts';
import { runHere, type RanHere } from './run-here.ts';

const home = new CliHome();
let file: string;
beforeAll(() => (file = home.write('work/file', 'some bytes')));
afterAll(() => home.close());

/** A server that lets anybody write, and `transfer`, which runs a command that ends in a place on it. */
async function serverWith(...conditions: string[]) {
  const logins: string[] = [];
  const logger = { ...silentLogger, info: (_: unknown, text: string) => void logins.push(text) };
  const { address, root } = await startDirectoryServer({ anonymous: 'write', logger });
  const required = conditions.flatMap((condition) => ['--require', condition]);
  const transfer = (command: string[], target = 'copy'): Promise<RanHere> =>
    runHere(home, [
      ...command,
      `sealift://${formatAddress(address)}/${target}`,
      '--insecure',
      '--json',
      ...required,
    ]);
  return { root, transfer, logins };
}

describe('what a transfer requires of the server', () => {
  test('is judged before anything is said to it', async () => {
    const { root, transfer, logins } = await serverWith('tls<=1.2');
    const { code, events } = await transfer(['put', file]);
    expect(code).toBe(15);
    expect(events).toContainEqual(expect.objectContaining({ type: 'error', code: 'condition-failed' }));
    expect(events.at(-1)).toMatchObject({ type: 'summary', exitCode: 15 });
    expect(existsSync(join(root, 'copy'))).toBe(false);
    expect(logins).not.toContain('login');
  });

  test('may hold', async () => {
    const { root, transfer, logins } = await serverWith(
      'tls>=1.3',
      'alpn=sealift/1',
      'cert-days>=1',
      'rate>=1',
    );
    expect((await transfer(['put', file])).code).toBe(0);
    expect(existsSync(join(root, 'copy'))).toBe(true);
    expect(logins).toContain('login');
  });

  test('is none of what only measuring tells', async () => {
    const { transfer } = await serverWith('rtt<=1h');
    expect((await transfer(['put', file])).code).toBe(2);
  });
});

describe('the rate that is required', () => {
  test('is judged in the end: what is done is done', async () => {
    const { root, transfer } = await serverWith('rate>=1T');
    const { code, events } = await transfer(['put', file]);
    expect(code).toBe(15);
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['file', 'error', 'summary']));
    expect(events.at(-1)).toMatchObject({ type: 'summary', exitCode: 15, files: 1 });
    expect(existsSync(join(root, 'copy'))).toBe(true);
  });

  test('says nothing where there was nothing to be moved', async () => {
    const { root, transfer } = await serverWith('rate>=1T');
    writeFileSync(join(root, 'copy'), 'there already');
    expect((await transfer(['put', '--if-exists', 'skip', file])).code).toBe(0);
  });
});
