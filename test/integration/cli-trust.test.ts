import { createServer as createPlainServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  issueAuthority,
  issueCertificate,
  type CertificateRequest,
  type Pair,
} from '../support/certificates.ts';
import { inThisProcess } from '../cli/run-here.ts';
import { CliHome } from '../support/cli.ts';
import { serveHere } from '../support/server-here.ts';

const HOUR_MS = 3_600_000;
const OTHER_PIN = `sha256//${'A'.repeat(43)}=`;
const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
let authority: Pair;
let ca: string;

beforeAll(async () => {
  authority = await issueAuthority();
  ca = home.write('ca.pem', authority.cert);
});
afterAll(() => home.close());

/** A server that anybody may write to. */
async function serve(certificate: CertificateRequest) {
  return serveHere(home, { anonymous: 'write', ...(await issueCertificate(certificate)) });
}

describe('exit code 6, the reason, the remedy, and nothing sent', () => {
  test.each([
    [
      'expired',
      () => ({
        ca: authority,
        notBefore: new Date(Date.now() - 2 * HOUR_MS),
        notAfter: new Date(Date.now() - HOUR_MS),
      }),
      () => ['--ca', ca],
      /certificate-expired: The certificate of 127\.0\.0\.1:\d+ expired on .*\. Its operator has to renew it\./,
    ],
    [
      'not yet valid',
      () => ({
        ca: authority,
        notBefore: new Date(Date.now() + HOUR_MS),
        notAfter: new Date(Date.now() + 2 * HOUR_MS),
      }),
      () => ['--ca', ca],
      /certificate-not-yet-valid: .* is valid only from .*\. Look at the clocks of both machines\./,
    ],
    [
      'another name',
      () => ({ ca: authority, names: ['other.example'] }),
      () => ['--ca', ca],
      /certificate-wrong-name: .* is for other names \(DNS:other\.example\)\. Use one of these names/,
    ],
    [
      'an authority that is not ours',
      () => ({ ca: authority }),
      () => [],
      /certificate-untrusted: .* no CA here signed \(pin sha256\/\/.*\)\. To trust it: sealift trust 127\.0\.0\.1:\d+/,
    ],
    [
      'self-signed',
      () => ({}),
      () => [],
      /certificate-untrusted: .* no CA here signed \(pin sha256\/\/.*\)\. To trust it: sealift trust 127\.0\.0\.1:\d+/,
    ],
    [
      'another pin',
      () => ({}),
      () => ['--pin', OTHER_PIN],
      /pin-mismatch: .* presented another key \(sha256.* if the key is really new: sealift trust --replace 127/,
    ],
  ])('%s', async (_, certificate, flags, message) => {
    const { root, url } = await serve(certificate());
    const source = home.write('secret', 'secret');
    const { code, stdout, stderr } = await here.run(['put', ...flags(), source, `${url}sent`]);
    expect({ code, stdout }).toEqual({ code: 6, stdout: '' });
    expect(stderr).toMatch(message);
    // At once: no retry can mend it.
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(readdirSync(root)).toEqual(['.sealift']);
  });

  test('somebody who speaks no TLS', async () => {
    const plain = createPlainServer((socket) =>
      socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    );
    onTestFinished(() => void plain.close());
    await once(plain.listen(0, '127.0.0.1'), 'listening');
    const { port } = plain.address() as AddressInfo;
    const { code, stderr } = await here.run(['ls', `sealift://127.0.0.1:${port}/`]);
    // No question of trust: nobody is there who could be trusted.
    expect(code).toBe(7);
    expect(stderr).toContain('does not speak TLS');
  });
});

test('a server is believed because of the authority that signed it', async () => {
  const { url } = await serve({ ca: authority, notAfter: new Date(Date.now() + 40 * 24 * HOUR_MS) });
  expect(await home.run(['ls', '--ca', ca, url])).toMatchObject({ code: 0, stderr: '' });
});

describe('a certificate that ends within 30 days is warned of', () => {
  const DAY_MS = 24 * HOUR_MS;
  const soon = () => ({ ca: authority, notAfter: new Date(Date.now() + 5.5 * DAY_MS) });

  test('once in a run, also when nothing else is said', async () => {
    const { url, place } = await serve(soon());
    const file = home.write('large', Buffer.alloc(5 << 20));
    const put = await here.run(['put', '-q', '--ca', ca, '--streams', '3', file, `${url}large`]);
    expect(put).toMatchObject({ code: 0, stdout: '' });
    expect(put.stderr).toMatch(
      /^sealift: The certificate of \S+ expires in 5 days, on \d{4}-\d\d-\d\d\. Its operator has to renew it\.\n$/,
    );
    const { events } = await here.runJson(['ls', '--ca', ca, url]);
    expect(events.filter(({ type }) => type === 'warning')).toEqual([
      { type: 'warning', message: expect.stringContaining(`The certificate of ${place} expires in 5 days`) },
    ]);
  });

  test('where it is that of the client, whatever makes the server believed', async () => {
    const { url, pin } = await serve({});
    const { cert, key } = await issueCertificate({ notAfter: new Date(Date.now() + 12 * HOUR_MS) });
    const own = ['--cert', home.write('own.pem', cert), '--key', home.write('own.key', key)];
    const { code, stderr } = await here.run(['ls', '--pin', pin, ...own, url]);
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^sealift: The client certificate for \S+ expires within a day, on /),
    });
  });

  test('but not where a pin decides', async () => {
    const { url, pin } = await serve(soon());
    expect(await here.run(['ls', '--pin', pin, url])).toMatchObject({ code: 0, stderr: '' });
  });
});

test('anybody is believed with --insecure, which is said every time', async () => {
  const { url, place } = await serve({});
  const { code, stderr } = await here.run(['ls', '-q', '--insecure', url]);
  expect(code).toBe(0);
  expect(stderr).toContain(`whoever answers at ${place} is believed`);
  const fetched = await here.run(['get', '-r', '--insecure', `${url}/nothing`, 'believed']);
  expect(fetched.stderr.match(/is believed/g)).toHaveLength(1);
});

test('a pin alone decides, whatever else the certificate says', async () => {
  const past = { notBefore: new Date(Date.now() - 2 * HOUR_MS), notAfter: new Date(Date.now() - HOUR_MS) };
  const { url, pin } = await serve({ names: ['other.example'], ...past });
  expect(await here.run(['ls', '--pin', OTHER_PIN, '--pin', pin, url])).toMatchObject({ code: 0 });
});

test('where a CA is named, the remedy is none that only helps without it', async () => {
  const { url, pin } = await serve({});
  for (const [flags, env] of [
    [['--ca', ca], {}],
    [[], { SEALIFT_CA: ca }],
  ] as const) {
    const { code, stderr } = await here.run(['ls', ...flags, url], { env });
    expect(code).toBe(6);
    expect(stderr).toContain(`To trust it: --pin ${pin}, or --ca FILE`);
    expect(stderr).not.toContain('sealift trust');
  }
});

describe('trust', () => {
  const known = () => readFileSync(home.at('config/sealift/known_servers'), 'utf8');

  test('asks nobody without a terminal, and says what to do instead', async () => {
    const { place, pin } = await serve({});
    const { code, stderr } = await home.run(['trust', place]);
    expect(code).toBe(6);
    expect(stderr).toContain(`run: sealift trust ${place} --pin ${pin}`);
  });

  test('with --pin, and not with another one', async () => {
    const { place, pin, url } = await serve({});
    expect((await here.run(['trust', place, '--pin', OTHER_PIN])).code).toBe(6);
    expect((await here.run(['trust', place, '--pin', pin])).code).toBe(0);
    expect((await here.run(['ls', url])).code).toBe(0);
    // Nor later, when the key that it shows is trusted.
    for (const how of [[], ['--replace']]) {
      const { code, events } = await here.runJson(['trust', ...how, place, '--pin', OTHER_PIN]);
      expect({ code, error: events.at(-1) }).toMatchObject({ code: 6, error: { code: 'pin-mismatch' } });
    }
    expect((await here.run(['trust', place, '--pin', OTHER_PIN, '--pin', pin])).code).toBe(0);
  });

  test('with --yes; a new key then needs --replace', async () => {
    const first = await serve({});
    const { events } = await home.runJson(['trust', '--yes', first.place]);
    expect(events).toEqual([{ type: 'trust', place: first.place, pin: first.pin, added: true }]);
    expect(statSync(home.at('config/sealift/known_servers')).mode & 0o777).toBe(0o600);
    expect((await home.runJson(['trust', '--yes', first.place])).events).toMatchObject([{ added: false }]);

    const second = await serve({});
    home.trust(second.place, first.pin);
    const refused = await home.run(['trust', '--yes', second.place]);
    expect(refused.code).toBe(6);
    expect(refused.stderr).toContain(`sealift trust --replace ${second.place}`);
    expect((await home.run(['trust', '--yes', '--replace', second.place])).code).toBe(0);
    expect(known()).toContain(`${second.place} ${second.pin}\n`);
    expect((await home.run(['ls', second.url])).code).toBe(0);
  });

  test('tells programs both keys where they differ', async () => {
    const { url, place, pin } = await serve({});
    home.trust(place, OTHER_PIN);
    for (const command of [
      ['ls', url],
      ['trust', place],
    ]) {
      const { code, events } = await here.runJson(command);
      expect(code).toBe(6);
      expect(events.at(-1)).toMatchObject({
        code: 'pin-mismatch',
        // A port may have been that of another server before.
        details: { presented: pin, trusted: expect.arrayContaining([OTHER_PIN]) as string[] },
      });
    }
  });

  test('with --add keeps the keys that are known, and one that is to come', async () => {
    const { url, place, pin } = await serve({});
    home.trust(place, OTHER_PIN);
    expect((await here.run(['trust', '--add', '--replace', place])).code).toBe(2);
    expect((await here.run(['trust', '--add', '--yes', place])).code).toBe(0);
    expect(known()).toContain(`${place} ${OTHER_PIN} ${pin}\n`);
    expect((await here.run(['ls', url])).code).toBe(0);
    const next = `sha256//${Buffer.alloc(32, 1).toString('base64')}`;
    const { events } = await here.runJson(['trust', '--add', '--pin', next, place]);
    expect(events).toMatchObject([
      { pin, added: false },
      { pin: next, added: true },
    ]);
    expect(known()).toContain(`${place} ${OTHER_PIN} ${pin} ${next}\n`);
  });

  test('with --replace ends it for the other keys, also where the new one was added before', async () => {
    const { place, pin } = await serve({});
    home.trust(place, OTHER_PIN);
    expect((await here.run(['trust', '--add', '--yes', place])).code).toBe(0);
    // The server does not show the key yet that is to remain, so both do.
    expect((await here.run(['trust', '--replace', '--pin', OTHER_PIN, place])).code).toBe(6);
    expect(known()).toContain(`${place} ${OTHER_PIN} ${pin}\n`);
    const { code, events } = await here.runJson(['trust', '--replace', place]);
    expect({ code, events }).toMatchObject({
      code: 0,
      events: [{ type: 'trust', place, pin, added: false, forgotten: [OTHER_PIN] }],
    });
    expect(known()).toContain(`${place} ${pin}\n`);
    expect((await here.run(['trust', '--replace', place])).stderr).toContain('is trusted already');
  });

  test('with --forget ends it, without a look at the server', async () => {
    const { place, pin } = await serve({});
    home.trust(place, pin);
    home.trust('gone.example:7433', pin);
    for (const each of [place, 'gone.example'])
      expect(await here.run(['trust', '--forget', each])).toMatchObject({ code: 0, stdout: '' });
    expect(known()).not.toContain(place);
    expect(known()).not.toContain('gone.example');
    expect((await here.run(['trust', '--forget', place])).code).toBe(4);
  });

  test('with --forget fails where saved remotes still trust it, and names them', async () => {
    const { url, place, pin } = await serve({});
    for (const name of ['kept', 'second'])
      expect((await here.run(['remote', 'add', name, `${url}?pin=${pin}`])).code).toBe(0);
    home.trust(place, pin);
    // Also when nothing else is left to forget.
    for (const forgotten of [[{ type: 'forgotten', place }], []]) {
      const { code, events } = await here.runJson(['trust', '--forget', place]);
      expect({ code, events }).toEqual({
        code: 6,
        events: [
          ...forgotten,
          expect.objectContaining({
            code: 'pin-mismatch',
            message: `${place} is still trusted by the saved remotes kept, second.`,
            hint: `If it has a new key: sealift trust --replace ${place}. To forget them: sealift remote rm kept; sealift remote rm second`,
          }),
        ],
      });
    }
    expect(known()).not.toContain(place);
    for (const name of ['kept', 'second']) {
      expect((await here.run(['ls', `${name}:`])).code).toBe(0);
      expect((await here.run(['remote', 'rm', name])).code).toBe(0);
    }
    expect((await here.run(['trust', '--forget', place])).code).toBe(4);
  });

  test.each([
    ['y', 0, 'is trusted from now on'],
    ['n', 6, 'was not trusted'],
    ['\u0004', 6, 'was not trusted'],
  ])('on a terminal asks, and takes %j for an answer', async (answer, exit, message) => {
    const { place, pin } = await serve({});
    const { code, stdout } = await home.inTerminal(['trust', place], { input: `${answer}\n` }).ended;
    expect(code).toBe(exit);
    expect(stdout).toContain(pin);
    expect(stdout).toContain('Trust it? [y/N]');
    expect(stdout).toContain(message);
  });
});
