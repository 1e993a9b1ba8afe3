import { spawn, spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runHere } from '../cli/run-here.ts';
import { hasOpenssl } from '../trust/openssl.ts';
import { CliHome, SEALIFT } from '../support/cli.ts';
import { isInstalled } from '../support/installed.ts';

const home = new CliHome();
const hasPython = isInstalled('python3', '--version');
let number = 0;
afterAll(() => home.close());

/** A CA in a directory of its own, and commands for it, which run in this process. */
async function newCa(...options: string[]) {
  const directory = home.at(`ca-${(number += 1)}`);
  const cert = (...args: string[]) => runHere(home, ['cert', ...args, '--dir', directory]);
  const made = await cert('init', ...options);
  expect(made).toMatchObject({ code: 0 });
  const at = (name: string) => `${directory}/${name}`;
  const text = (name: string) => readFileSync(at(name), 'utf8');
  return { directory, cert, at, text, made };
}

describe('a CA', () => {
  test('is made among the configuration, where all commands look for it, and not made twice', async () => {
    const { code, stdout, stderr } = await home.run(['cert', 'init']);
    const directory = home.at('config', 'sealift', 'certs');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain(`${directory}/ca.pem`);
    expect(readdirSync(directory).sort()).toEqual(['ca.crl', 'ca.key', 'ca.pem']);
    expect(statSync(`${directory}/ca.key`).mode & 0o777).toBe(0o600);
    const again = await home.run(['cert', 'init']);
    expect(again).toMatchObject({ code: 10, stderr: expect.stringContaining('local-exists') });
    expect((await home.run(['cert', 'issue', 'client', 'alice'])).code).toBe(0);
    expect(existsSync(`${directory}/alice.pem`)).toBe(true);
  });

  test('that is missing is told, with the remedy', async () => {
    const { code, stderr } = await home.run(['cert', 'issue', 'client', 'a', '--dir', home.at('none')]);
    expect({ code, stderr }).toEqual({
      code: 4,
      stderr: `sealift: cert issue: local-not-found: There is no CA in ${home.at('none')}. To make one: sealift cert init --dir ${home.at('none')}\n`,
    });
    expect(existsSync(home.at('none'))).toBe(false);
  });

  test('has the name, the days and the directory that were asked for, also from the environment', async () => {
    const env = { SEALIFT_DIR: home.at('by-env'), SEALIFT_NAME: 'By env', SEALIFT_DAYS: '50' };
    expect((await home.run(['cert', 'init', '--crl-days', '7'], { env })).code).toBe(0);
    const { events } = await home.runJson(['cert', 'show', `${env.SEALIFT_DIR}/ca.pem`]);
    expect(events).toMatchObject([
      { type: 'certificate', certificate: { subject: 'CN=By env', daysLeft: 49, chain: [] } },
    ]);
    const { stdout } = await home.run(['cert', 'show', `${env.SEALIFT_DIR}/ca.crl`]);
    expect(stdout).toMatch(/^crl number {2}1\n.*\nnext update \S+ \(6 days left\)\nrevoked {5}0\n$/s);
  });
});

describe('the passphrase', () => {
  const PASSPHRASE = 'correct horse';

  test('from a file or the environment opens the key, and nothing else does', async () => {
    const file = home.write('passphrase', `${PASSPHRASE}\n`);
    const { cert, text, at, directory } = await newCa('--passphrase-file', file);
    expect(text('ca.key')).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    const issue = (name: string, env = {}) =>
      runHere(home, ['cert', 'issue', 'client', name, '--dir', directory], env);
    expect((await cert('issue', 'client', 'a', '--passphrase-file', file)).code).toBe(0);
    expect((await issue('b', { SEALIFT_PASSPHRASE: PASSPHRASE })).code).toBe(0);
    for (const [env, reason] of [
      [{}, 'there is no passphrase'],
      [{ SEALIFT_PASSPHRASE: 'wrong one' }, 'is wrong'],
      [{ SEALIFT_PASSPHRASE: '' }, 'is empty'],
    ] as const) {
      const { code, stderr } = await issue('c', env);
      expect(code).toBe(2);
      expect(stderr).toContain(reason);
      expect(stderr).not.toContain('wrong one');
    }
    for (const command of [['renew'], ['revoke', 'a']]) expect((await cert(...command)).code).toBe(2);
    expect(existsSync(at('c.pem'))).toBe(false);
    chmodSync(file, 0o644);
    expect(await cert('issue', 'client', 'c', '--passphrase-file', file)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('chmod 600'),
    });
  });

  test('is asked on a terminal, twice for a new CA, and not shown', async () => {
    const directory = home.at('asked');
    const differing = await typing(directory, ['init', '--ask-passphrase'], ['uno-1', 'dos-2']);
    expect(differing).toMatchObject({ code: 2, stdout: expect.stringContaining('differ') });
    const asked = await typing(directory, ['init', '--ask-passphrase'], [PASSPHRASE, PASSPHRASE]);
    expect(asked).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('has it and the passphrase can'),
    });
    expect(readFileSync(`${directory}/ca.key`, 'utf8')).toContain('ENCRYPTED');
    expect((await typing(directory, ['issue', 'client', 'a'], [PASSPHRASE])).code).toBe(0);
    expect((await typing(directory, ['issue', 'client', 'b'], ['falso-3'])).code).toBe(2);
    expect(await typing(directory, ['issue', 'client', 'b'], ['\u0003'])).toMatchObject({ code: 130 });
    expect(await typing(directory, ['issue', 'client', 'b'], ['\u0004'])).toMatchObject({ code: 2 });
    const nobody = await home.run(['cert', 'init', '--ask-passphrase', '--dir', home.at('nobody')]);
    expect(nobody).toMatchObject({ code: 2, stderr: expect.stringContaining('--passphrase-file') });
  });

  test('does not make a key that others can read a safe one', async () => {
    const { cert, at } = await newCa();
    chmodSync(at('ca.key'), 0o644);
    expect(await cert('issue', 'client', 'a')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('chmod 600'),
    });
  });
});

describe('issuing', () => {
  test('tells the files, and with --json all about them', async () => {
    const { at, directory } = await newCa();
    const { code, events } = await home.runJson([
      'cert',
      'issue',
      'server',
      'a.example',
      '::1',
      '--dir',
      directory,
    ]);
    expect(code).toBe(0);
    expect(events).toMatchObject([
      {
        type: 'issued',
        name: 'a.example',
        cert: at('a.example.pem'),
        key: at('a.example.key'),
        certificate: { names: ['a.example', '::1'], usage: ['server'], daysLeft: 396 },
      },
    ]);
  });

  test.for([
    [['server', 'a b'], 'is no host name'],
    [['server', 'a,O=evil'], 'is no host name'],
    [['server', 'a\nb'], 'is no host name'],
    [['server', 'ca'], 'No file can be named after'],
    [['client', 'a/b'], 'is no name for a client'],
    [['client', 'ü'], 'is no name for a client'],
    [['client', 'a', 'b'], 'one name'],
    [['other', 'a'], 'server, client'],
    [['server'], 'missing required argument'],
    [['server', 'a', '--days', '0'], '--days'],
    [['server', 'a', '--days', '40000'], '36500'],
  ] as const)('of %j is a usage error', async ([args, message]) => {
    const { cert, directory } = await newCa();
    expect(await cert('issue', ...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
    expect(readdirSync(directory).sort()).toEqual(['ca.crl', 'ca.key', 'ca.pem']);
  });

  test('says so when the CA ends sooner', async () => {
    const { cert } = await newCa('--days', '100');
    expect((await cert('issue', 'client', 'short', '--days', '90')).stderr).not.toContain('ends with the CA');
    const { code, stderr } = await cert('issue', 'client', 'long', '--quiet');
    expect(code).toBe(0);
    expect(stderr).toContain('long ends with the CA');
  });

  test('in several processes at once damages nothing', async () => {
    const { directory, text } = await newCa();
    const issue = (name: string) => home.run(['cert', 'issue', 'client', name, '--dir', directory]);
    const codes = (await Promise.all(['a', 'b', 'c', 'c'].map(issue))).map(({ code }) => code);
    expect(codes.toSorted()).toEqual([0, 0, 0, 10]);
    for (const name of ['a', 'b', 'c'])
      expect(
        new X509Certificate(text(`${name}.pem`)).checkPrivateKey(createPrivateKey(text(`${name}.key`))),
      ).toBe(true);
  });
});

describe('renewing', () => {
  test('what is due, of all; what is named, always; and the list each time', async () => {
    const { cert, text } = await newCa();
    await cert('issue', 'client', 'due', '--days', '20');
    await cert('issue', 'server', '*.later.example');
    const before = {
      due: text('due.pem'),
      later: text('_.later.example.pem'),
      key: text('due.key'),
      crl: text('ca.crl'),
    };
    const all = await cert('renew');
    expect(all).toMatchObject({ code: 0, stderr: expect.stringContaining('due.pem') });
    expect(all.stderr).not.toContain('later');
    expect(text('due.pem')).not.toBe(before.due);
    expect(text('due.key')).toBe(before.key);
    expect(text('ca.crl')).not.toBe(before.crl);
    expect(text('_.later.example.pem')).toBe(before.later);

    expect((await cert('renew', '*.later.example', '--new-key')).code).toBe(0);
    expect(text('_.later.example.pem')).not.toBe(before.later);
    expect(await cert('renew', 'nobody', 'due')).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/no certificate for "nobody"[^]*Renewed [^]*due\.pem/),
    });
    expect((await cert('renew', 'nobody')).code).toBe(4);
  });

  test('the CA, by name or when it is due, keeps what it issued valid', async () => {
    const { cert, text } = await newCa('--days', '20');
    await cert('issue', 'client', 'a', '--days', '90');
    const before = text('ca.pem');
    expect(await cert('renew', '--json')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"authority"'),
    });
    const renewed = new X509Certificate(text('ca.pem'));
    expect(renewed.validToDate.getTime()).toBeGreaterThan(new X509Certificate(before).validToDate.getTime());
    expect(new X509Certificate(text('a.pem')).checkIssued(renewed)).toBe(true);
    const leaf = text('a.pem');
    expect((await cert('renew', 'ca', '--days', '50')).code).toBe(0);
    expect(text('ca.pem')).not.toBe(renewed.toString());
    expect(text('a.pem')).toBe(leaf);
  });

  test('the CA because it is due takes no days that are meant for what it issued', async () => {
    const { cert, text } = await newCa('--days', '20');
    await cert('issue', 'client', 'a');
    expect((await cert('renew', '--days', '90')).code).toBe(0);
    const days = (file: string) =>
      (new X509Certificate(text(file)).validToDate.getTime() - Date.now()) / 86_400_000;
    expect(days('a.pem')).toBeLessThan(91);
    expect(days('ca.pem')).toBeGreaterThan(3_600);
  });

  test('the CA with a new key is refused before anything is done, since it keeps its own', async () => {
    const { cert, text } = await newCa();
    const before = [text('ca.pem'), text('ca.crl')];
    expect(await cert('renew', 'ca', '--new-key')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('sealift cert init --dir'),
    });
    expect([text('ca.pem'), text('ca.crl')]).toEqual(before);
  });
});

test('revoking tells what it revoked, and says it again without harm', async () => {
  const { cert, at, text } = await newCa();
  await cert('issue', 'client', 'a');
  const { serialNumber } = new X509Certificate(text('a.pem'));
  expect(await cert('revoke', 'a')).toMatchObject({ code: 0, stderr: `Revoked: ${serialNumber}\n` });
  const again = await cert('revoke', at('a.pem'), '--json', '--crl-days', '3');
  expect(JSON.parse(again.stdout)).toEqual({ type: 'revoked', serials: [serialNumber], added: [] });
  const shown = await home.runJson(['cert', 'show', at('ca.crl')]);
  expect(shown.events).toMatchObject([
    { type: 'crl', crl: { number: 3, daysLeft: 2, revoked: [{ serial: serialNumber }] } },
  ]);
  expect(await cert('revoke', 'nobody')).toMatchObject({ code: 4 });
  expect(await cert('renew', 'a')).toMatchObject({ code: 2, stderr: expect.stringContaining('--new-key') });
});

describe('showing', () => {
  let ca: Awaited<ReturnType<typeof newCa>>;
  beforeAll(async () => {
    ca = await newCa('--name', 'Shown, CA');
    await ca.cert('issue', 'server', 'localhost', '127.0.0.1');
  });

  test('a file prints each certificate in it', async () => {
    const { code, stdout } = await home.run(['cert', 'show', ca.at('localhost.pem')]);
    expect(code).toBe(0);
    const [leaf = '', authority = ''] = stdout.split('\n\n');
    const { fingerprint256 } = new X509Certificate(ca.text('localhost.pem'));
    expect(leaf).toMatch(
      /^subject {5}CN=localhost\nnames {7}localhost, 127\.0\.0\.1\nissuer {6}CN=Shown\\, CA\n/,
    );
    expect(leaf).toContain(`\nsha256      ${fingerprint256}\npin         sha256//`);
    expect(leaf).toContain('(396 days left)');
    expect(authority).toMatch(/^subject {5}CN=Shown\\, CA\n/);
    const der = home.write('ca.der', new X509Certificate(ca.text('ca.pem')).raw);
    expect((await home.run(['cert', 'show', der])).stdout).toBe(authority);
  });

  test('a server shows what it presents, with its chain', async () => {
    const { host, port, pin } = await home.serve([
      '--cert',
      ca.at('localhost.pem'),
      '--key',
      ca.at('localhost.key'),
    ]);
    const { code, events } = await home.runJson(['cert', 'show', `${host}:${port}`]);
    expect(code).toBe(0);
    expect(events).toMatchObject([
      {
        type: 'certificate',
        certificate: { pin, names: ['localhost', '127.0.0.1'], chain: [{ subject: 'CN=Shown\\, CA' }] },
      },
    ]);
  });

  test.for([
    ['nothing', 'none.pem', 4, 'cannot be read'],
    ['a directory', '.', 4, 'EISDIR'],
    ['nobody', '127.0.0.1:1', 7, 'connection-refused'],
  ] as const)('%s', async ([, place, exit, message]) => {
    const { code, stdout, stderr } = await runHere(home, ['cert', 'show', place]);
    expect({ code, stdout }).toEqual({ code: exit, stdout: '' });
    expect(stderr).toContain(message);
  });

  test('what is no certificate', async () => {
    for (const [name, text] of [
      ['key', ca.text('ca.key')],
      ['empty', ''],
      ['damaged', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'],
      ['noise', '0\u0001\u0002'],
    ] as const) {
      const { code, stderr } = await runHere(home, ['cert', 'show', home.write(`none-${name}`, text)]);
      expect({ name, code }).toEqual({ name, code: 2 });
      expect(stderr).toContain(`none-${name}`);
    }
  });
});

describe('other programs', () => {
  test('openssl believes what is issued, for its purpose, and not what is revoked', async ({ skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    const { cert, at } = await newCa();
    await cert('issue', 'server', 'a.example', '*.b.example', '::1');
    await cert('issue', 'client', 'bob@b.example');
    await cert('issue', 'client', 'eve');
    await cert('renew', 'ca', 'eve');
    await cert('revoke', 'eve');
    const verify = (name: string, ...options: string[]) => {
      const args = ['-x509_strict', '-crl_check', '-CRLfile', at('ca.crl'), '-CAfile', at('ca.pem')];
      const { stdout, stderr } = spawnSync('openssl', ['verify', ...args, ...options, at(name)], {
        encoding: 'utf8',
      });
      return stdout + stderr;
    };
    expect(verify('a.example.pem', '-purpose', 'sslserver', '-verify_hostname', 'x.b.example')).toMatch(
      /: OK$/m,
    );
    expect(verify('a.example.pem', '-purpose', 'sslserver', '-verify_ip', '::1')).toMatch(/: OK$/m);
    expect(verify('a.example.pem', '-purpose', 'sslclient')).toContain('unsuitable certificate purpose');
    expect(verify('bob@b.example.pem', '-purpose', 'sslclient')).toMatch(/: OK$/m);
    expect(verify('bob@b.example.pem', '-purpose', 'sslserver')).toContain('unsuitable certificate purpose');
    expect(verify('eve.pem')).toContain('certificate revoked');
  });

  test('Python reaches a server by its names, and by no other', async ({ skip }) => {
    skip(!hasPython, 'python3 is not installed');
    const { cert, at } = await newCa();
    await cert('issue', 'server', 'localhost', '127.0.0.1');
    const own = ['--cert', at('localhost.pem'), '--key', at('localhost.key')];
    const { port } = await home.serve(own, home.at('issued'));
    const selfSigned = await home.serve([], home.at('self-signed'));
    const itself = `${selfSigned.root}/.sealift/identity/cert.pem`;
    const reach = async (ca: string, to: number, name: string) => {
      const child = spawn('python3', ['-c', PYTHON, ca, String(to), name], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [said] = (await Promise.all([
        once(child.stdout.setEncoding('utf8'), 'data'),
        once(child, 'close'),
      ])) as [[string], unknown];
      return said[0].trim();
    };
    for (const name of ['localhost', '127.0.0.1']) {
      expect(await reach(at('ca.pem'), port, name), name).toBe('TLSv1.3');
      expect(await reach(itself, selfSigned.port, name), `${name}, self-signed`).toBe('TLSv1.3');
    }
    expect(await reach(at('ca.pem'), port, 'other.example')).toContain('Hostname mismatch');
    expect(await reach(at('ca.pem'), selfSigned.port, 'localhost')).toContain('CERTIFICATE_VERIFY_FAILED');
  });

  test('a server takes clients that the CA vouches for', async () => {
    const { cert, at } = await newCa();
    await cert('issue', 'server', 'localhost', '127.0.0.1');
    await cert('issue', 'client', 'alice');
    const users = home.write(
      'users.toml',
      '[principals.alice]\npermissions = ["read", "write", "list"]\nnames = ["alice"]\n',
    );
    mkdirSync(home.at('work'), { recursive: true });
    writeFileSync(home.at('work', 'one'), 'x');
    const own = ['--cert', at('localhost.pem'), '--key', at('localhost.key')];
    const started = home.start([
      'serve',
      home.at('mutual'),
      '--json',
      '--host',
      '127.0.0.1',
      '--port',
      '0',
      '--client-ca',
      at('ca.pem'),
      '--users',
      users,
      ...own,
    ]);
    const { port } = await started.event('listening');
    const put = (...args: string[]) =>
      home.run(['put', 'one', `sealift://127.0.0.1:${String(port)}/one`, '--ca', at('ca.pem'), ...args]);
    expect((await put('--cert', at('alice.pem'), '--key', at('alice.key'))).code).toBe(0);
    expect((await put()).code).toBe(5);
    expect((await put(...own)).code).toBe(5);
  });
});

/** Runs `sealift cert` on a terminal, and answers what it asks when it asks it. None of the answers may be shown. */
async function typing(directory: string, args: readonly string[], answers: readonly string[]) {
  const command = [...SEALIFT, 'cert', ...args, '--dir', directory].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: home.env,
  });
  // Control characters are keys by themselves.
  const keys = (answer: string) => (answer < ' ' ? answer : `${answer}\n`);
  const left = [...answers];
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (stdout.endsWith(': ') && left.length > 0) child.stdin.write(keys(left.shift() ?? ''));
  });
  const [code] = (await once(child, 'close')) as [number];
  expect(left).toEqual([]);
  for (const answer of answers) expect(stdout).not.toContain(answer);
  return { code, stdout };
}

// As strictly as its newest versions are by default.
const PYTHON = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
context.set_alpn_protocols(['sealift/1'])
try:
    with socket.create_connection(('127.0.0.1', int(sys.argv[2]))) as plain:
        with context.wrap_socket(plain, server_hostname=sys.argv[3]) as secured:
            print(secured.version())
except ssl.SSLError as error:
    print(error)
`;
