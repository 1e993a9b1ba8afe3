import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  issueAuthority,
  issueCertificate,
  type CertificateRequest,
  type Pair,
} from '../support/certificates.ts';
import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, type ServeProcess } from '../support/cli.ts';
import { tokenOf, usersToml } from '../support/test-server.ts';

const DAY_MS = 86_400_000;
const ONCE = ['--retry', '0'];
const home = new CliHome();
/** For what needs no process: standard input does. */
const here = inThisProcess(home);
afterAll(() => home.close());

let server: ServeProcess;
let authority: Pair;

/** `sealift …`, which has to succeed. */
async function sealift(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await here.run(args);
  if (code !== 0) throw new Error(`sealift ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** A client certificate in files, by default one that is let in, as options. */
async function certificate(name: string, request: CertificateRequest = {}): Promise<string[]> {
  const commonName = 'laptop';
  const pair = await issueCertificate({
    commonName,
    names: [],
    usages: ['client'],
    ca: authority,
    ...request,
  });
  return ['--cert', home.write(`${name}.pem`, pair.cert), '--key', home.write(`${name}.key`, pair.key)];
}

function token(text: string): string[] {
  return ['--token-file', home.write(`token-${text}`, text)];
}

beforeAll(async () => {
  const certs = home.at('certs');
  await sealift('cert', 'init', '--dir', certs);
  await sealift('cert', 'issue', 'server', 'localhost', '127.0.0.1', '--dir', certs);
  await sealift('cert', 'issue', 'client', 'lost', '--dir', certs);
  await sealift('cert', 'revoke', 'lost', '--dir', certs);
  authority = { cert: home.read('certs/ca.pem').toString(), key: home.read('certs/ca.key').toString() };
  const users = usersToml({
    laptop: { names: ['laptop', 'lost'] },
    expired: { limits: 'expires = 2020-01-01' },
    lasting: { limits: 'expires = 2999-01-01' },
    reader: { permissions: ['read', 'list'] },
    writer: { permissions: ['write'] },
    inbox: { limits: 'prefixes = ["inbox"]' },
    little: { limits: 'root = "little"\nquota = "2M"' },
    much: { limits: 'root = "much"\nquota = "20M"' },
  });
  server = await home.serve([
    ...['--cert', home.at('certs/localhost.pem'), '--key', home.at('certs/localhost.key')],
    ...['--client-ca', home.at('certs/ca.pem'), '--crl', home.at('certs/ca.crl')],
    ...['--users', home.write('users.toml', users), '--anonymous', 'none'],
  ]);
  home.write('file', 'What nobody may store who does not belong.\n');
}, 60_000);

interface Row {
  /** The options that have the one fault, and those without it. */
  wrong: () => Promise<string[]> | string[];
  right: () => Promise<string[]> | string[];
  exit: number;
  code: string;
  /** Where the file goes, if that is the fault. */
  wrongPath?: string;
  rightPath?: string;
  /** What is sent. Default: a small file. */
  source?: string;
  input?: Buffer;
}

const REFUSED = { exit: 5, code: 'unauthenticated' };
const FORBIDDEN = { exit: 5, code: 'forbidden' };
const good = () => certificate('good');

const ROWS: Record<string, Row> = {
  'no certificate': { ...REFUSED, wrong: () => [], right: good },
  'a certificate of another CA': {
    ...REFUSED,
    wrong: async () => certificate('other', { ca: await issueAuthority('Another authority') }),
    right: good,
  },
  'a certificate of another CA that calls itself as ours': {
    ...REFUSED,
    wrong: async () => certificate('false', { ca: await issueAuthority('Sealift CA') }),
    right: good,
  },
  'an expired certificate': {
    ...REFUSED,
    wrong: () =>
      certificate('expired', {
        notBefore: new Date(Date.now() - 2 * DAY_MS),
        notAfter: new Date(Date.now() - DAY_MS),
      }),
    right: good,
  },
  'a certificate that is not valid yet': {
    ...REFUSED,
    wrong: () =>
      certificate('early', {
        notBefore: new Date(Date.now() + DAY_MS),
        notAfter: new Date(Date.now() + 2 * DAY_MS),
      }),
    right: good,
  },
  'a revoked certificate': {
    ...REFUSED,
    wrong: () => ['--cert', home.at('certs/lost.pem'), '--key', home.at('certs/lost.key')],
    right: () => certificate('found', { commonName: 'lost' }),
  },
  'a certificate for servers': {
    ...REFUSED,
    wrong: () => certificate('server', { usages: ['server'] }),
    right: good,
  },
  'a certificate of nobody here': {
    ...REFUSED,
    wrong: () => certificate('stranger', { commonName: 'stranger' }),
    right: good,
  },
  'another pin of the server': {
    exit: 6,
    code: 'pin-mismatch',
    wrong: async () => [...(await good()), '--pin', `sha256//${Buffer.alloc(32).toString('base64')}`],
    right: async () => [...(await good()), '--pin', server.pin],
  },
  'no token': { ...REFUSED, wrong: () => [], right: () => token(tokenOf('laptop')) },
  'a wrong token': {
    ...REFUSED,
    wrong: () => token('sealift_wrong'),
    right: () => token(tokenOf('laptop')),
  },
  'an expired token': {
    ...REFUSED,
    wrong: () => token(tokenOf('expired')),
    right: () => token(tokenOf('lasting')),
  },
  'the right identity without the permission': {
    ...FORBIDDEN,
    wrong: () => token(tokenOf('reader')),
    right: () => token(tokenOf('writer')),
  },
  'a path outside of the prefix': {
    ...FORBIDDEN,
    wrong: () => token(tokenOf('inbox')),
    right: () => token(tokenOf('inbox')),
    wrongPath: 'inbox2/file',
    rightPath: 'inbox/file',
  },
  'a quota that is reached half-way': {
    exit: 11,
    code: 'quota-exceeded',
    wrong: () => token(tokenOf('little')),
    right: () => token(tokenOf('much')),
    source: '-',
    input: randomBytes(5 * 2 ** 20),
  },
};

function put(args: readonly string[], input: Buffer | undefined) {
  const command = ['put', ...args];
  return input === undefined ? here.runJson(command) : home.runJson(command, { input });
}

describe.each(Object.entries(ROWS))('%s', (name, row) => {
  const { wrong, right, source = home.at('file'), input } = row;
  const path = name.replaceAll(' ', '-');

  test(`is refused with ${row.exit} and ${row.code}, and nothing is stored`, async () => {
    const place = server.place(row.wrongPath ?? path);
    const { code, events } = await put([source, place, ...ONCE, ...(await wrong())], input);
    expect({ code, error: events.find(({ type }) => type === 'error')?.['code'] }).toEqual({
      code: row.exit,
      error: row.code,
    });
    for (const root of ['root', 'root/little', 'root/much'])
      expect(existsSync(home.at(root, row.wrongPath ?? path)), root).toBe(false);
  });

  test('without that, the same is done', async () => {
    const place = server.place(row.rightPath ?? path);
    const { code, stderr } = await put([source, place, ...ONCE, ...(await right())], input);
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
    const roots = ['root', 'root/little', 'root/much'];
    expect(roots.filter((root) => existsSync(home.at(root, row.rightPath ?? path)))).toHaveLength(1);
  });
});

describe('a join code', () => {
  const line = async (name: string) => {
    const place = `127.0.0.1:${server.port}`;
    const options = ['--users', home.at('users.toml'), '--join', '--url', place];
    const certificateOption = ['--cert', home.at('certs/localhost.pem')];
    const said = await sealift('token', 'add', name, home.at('root'), ...options, ...certificateOption);
    return /'(sealift:[^']*)'/.exec(said)?.[1] ?? said;
  };

  test('that was used is refused with 5 and unauthenticated, and nothing is saved', async () => {
    const url = await line('joiner');
    await sealift('remote', 'add', 'first', url);
    const { code, events } = await here.runJson(['remote', 'add', 'second', url, ...ONCE]);
    expect(code).toBe(5);
    expect(events.find(({ type }) => type === 'error')?.['code']).toBe('unauthenticated');
    expect(await sealift('remote', 'list')).not.toContain('second');
  });

  test('a fresh one is accepted', async () => {
    await sealift('remote', 'add', 'third', await line('another'));
    await sealift('put', home.at('file'), 'third:joined');
    expect(existsSync(home.at('root/joined'))).toBe(true);
  });
});
