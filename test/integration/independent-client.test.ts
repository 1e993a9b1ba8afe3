import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import type { Address } from '../../src/transport/address.ts';
import { isInstalled } from '../support/installed.ts';
import { startDirectoryServer, temporaryDirectory, tokenOf, usersToml } from '../support/test-server.ts';

const hasPython = isInstalled('python3', '-c', 'import ssl; ssl.TLSVersion.TLSv1_3');
const REASON = hasPython ? '' : ' (skipped: there is no python3 with TLS 1.3 on this machine)';

describe.skipIf(!hasPython)(`clients written in another language${REASON}`, () => {
  test('one made from the protocol page alone does everything', { timeout: 60_000 }, async () => {
    const usersFile = join(await temporaryDirectory(), 'users.toml');
    writeFileSync(usersFile, usersToml({ tester: {} }), { mode: 0o600 });
    const { address, root } = await startDirectoryServer({ usersFile });
    const { output, code } = await python('independent-client.py', address, [], tokenOf('tester'));
    expect(output).toMatch(/broken-streams\n$/);
    expect(code).toBe(0);
    const lines = output.trimEnd().split('\n');
    const done = new Map(lines.map((line) => [line.split(' ')[0], line.split(' ')[1]]));
    expect([...done.keys()]).toEqual([
      'hello',
      'ping-and-echo',
      'put-inline',
      'put-in-blocks',
      'put-of-unknown-size',
      'resume',
      'delta',
      'get',
      'digests-and-stat',
      'list-and-search',
      'change-and-remove',
      'errors',
      'broken-streams',
    ]);
    expect(sha256(join(root, 'docs/small ü.bin'))).toBe(done.get('put-inline'));
    expect(sha256(join(root, 'docs/large'))).toBe(done.get('put-in-blocks'));
    expect(sha256(join(root, 'docs/unknown'))).toBe(done.get('put-of-unknown-size'));
    expect(sha256(join(root, 'resumed'))).toBe(done.get('delta'));
  });

  describe('the classic tutorial client, wrapped in TLS', () => {
    test.each([
      ['search', 'morpheus', 'Got result: films/morpheus.txt\nOther fields: []\n'],
      ['search', '*.txt', 'Got result: notes.txt\nOther fields: []\n'],
      ['search', 'nobody', "Got result: No match for 'nobody'.\nOther fields: []\n"],
      ['double', '2', "Got result: Error: invalid action 'double'.\nOther fields: []\n"],
      [
        'binary',
        '😃',
        "Received binary/custom-server-binary-type response, got: b'First 10 bytes of request: binary\\xf0\\x9f\\x98\\x83'\nOther fields: []\n",
      ],
    ])('%s %s is answered in its own dialect', async (action, value, expected) => {
      const { output, code } = await python(
        'tutorial-client.py',
        await tutorialServer({ allowNoAlpn: true, anonymous: 'read' }),
        [action, value],
      );
      expect(output).toBe(expected);
      expect(code).toBe(0);
    });

    test.each([
      ['neither option', {}, /^Error: /],
      ['anonymous reading alone', { anonymous: 'read' }, /^Error: /],
      ['no ALPN alone', { allowNoAlpn: true }, /got: b''\nOther fields: \['code', 'message'/],
    ] as const)('gets nothing of the files with %s', async (_, options, expected) => {
      const { output } = await python('tutorial-client.py', await tutorialServer(options), [
        'search',
        'notes',
      ]);
      expect(output).toMatch(expected);
      expect(output).not.toContain('notes.txt');
    });
  });
});

async function tutorialServer(options: { allowNoAlpn?: true; anonymous?: 'read' }): Promise<Address> {
  const root = await temporaryDirectory();
  mkdirSync(join(root, 'films'));
  writeFileSync(join(root, 'films/morpheus.txt'), 'Follow the white rabbit.');
  writeFileSync(join(root, 'notes.txt'), '');
  return (await startDirectoryServer({ root, ...options })).address;
}

function python(
  script: string,
  address: Address,
  args: string[],
  token = '',
): Promise<{ output: string; code: number }> {
  const { host, port } = address as { host: string; port: number };
  const file = join(import.meta.dirname, script);
  const env = {
    ...process.env,
    SEALIFT_TOKEN: token,
    PYTHONIOENCODING: 'utf-8',
    PYTHONDONTWRITEBYTECODE: '1',
  };
  return new Promise((resolve) => {
    execFile(
      'python3',
      [file, host, String(port), ...args],
      { env, timeout: 50_000 },
      (error, stdout, stderr) => resolve({ output: stdout + stderr, code: error === null ? 0 : 1 }),
    );
  });
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
