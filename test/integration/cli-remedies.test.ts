import { chmodSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, SEALIFT, type ServeProcess } from '../support/cli.ts';
import { hasOpenssl } from '../trust/openssl.ts';

const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
afterAll(() => home.close());

/** Runs the command that a remedy names, as whoever pastes it into a shell, with more words behind it. */
async function pasted(hint: unknown, remedy: RegExp, ...more: string[]) {
  const command = [remedy.exec(String(hint))?.[1] ?? 'there is none', ...more].join(' ');
  const [node, program] = SEALIFT.map((word) => `'${word}'`);
  return home.startCommand(['sh', '-c', command.replace(/^sealift/, `${node} ${program}`)]).ended;
}

describe('a remedy is a command that works where it is pasted:', () => {
  const ca = "the CA's";
  const users = 'who may/users.toml';

  let server: ServeProcess;

  beforeAll(async () => {
    server = await home.serve();
    home.write(`work/${users}`, '');
    expect((await here.run(['cert', 'init', '--dir', ca])).code).toBe(0);
    expect((await here.run(['cert', 'issue', 'client', 'a', '--dir', ca])).code).toBe(0);
    expect((await here.run(['token', 'add', 'a', '--users', users])).code).toBe(0);
  });

  test.each<[string, string[], RegExp]>([
    ['there is no CA', ['cert', 'renew', '--dir', 'no CA'], /^To make one: (sealift cert init .*)$/],
    [
      'there is a certificate',
      ['cert', 'issue', 'client', 'a', '--dir', ca],
      /^To renew it: (sealift cert renew a .*)$/,
    ],
    [
      'there is no certificate',
      ['cert', 'renew', 'b.example', '--dir', ca],
      /^To issue one: (sealift cert issue server b.example .*), or client/,
    ],
    [
      'there is a principal',
      ['token', 'add', 'a', '--users', users],
      /: (sealift token add a --another .*)$/,
    ],
    [
      'there is no principal',
      ['token', 'revoke', 'b', '--users', users],
      /^(sealift token list .*) tells those/,
    ],
  ])('%s', async (_, args, remedy) => {
    const { events } = await here.runJson(args);
    expect(await pasted(events.at(-1)?.['hint'], remedy)).toMatchObject({ code: 0 });
  });

  test.each(['--replace', '--add'])('trust %s of a saved remote, without a terminal', async (how) => {
    const wrong = `sha256//${Buffer.alloc(32).toString('base64')}`;
    const name = `box${how}`;
    await here.run(['remote', 'add', name, `sealift://127.0.0.1:${server.port}?pin=${server.pin}`]);
    const file = 'config/sealift/remotes.toml';
    home.write(file, home.read(file).toString().replaceAll(server.pin, wrong));
    expect((await here.run(['ls', `${name}:`])).code).toBe(6);
    const { code, events } = await home.runJson(['trust', how, name]);
    expect(code).toBe(6);
    expect(await pasted(events.at(-1)?.['hint'], /, and run: (.*)$/)).toMatchObject({ code: 0 });
    expect(await here.run(['ls', `${name}:`])).toMatchObject({ code: 0 });
  });

  describe('and means the port that was asked for:', () => {
    const wrong = `sha256//${Buffer.alloc(32).toString('base64')}`;
    let port: string[];

    beforeAll(() => {
      port = ['--port', `${server.port}`];
      home.write('config/sealift/known_servers', `127.0.0.1:${server.port} ${wrong}\n`);
      home.write(
        'config/sealift/remotes.toml',
        `[remote.elsewhere]\naddress = "127.0.0.1:1"\npins = ["${wrong}"]\n`,
      );
    });
    const hintOf = async (...args: string[]) => {
      const { code, events } = await here.runJson(args);
      expect(code).toBe(6);
      return events.at(-1)?.['hint'];
    };

    test.each([['127.0.0.1'], ['elsewhere']])('the key of %s is another one', async (name) => {
      const hint = await hintOf('ls', ...port, `${name}:`);
      expect(await pasted(hint, /really new: (sealift trust .*)$/, '--yes')).toMatchObject({ code: 0 });
      expect(await here.run(['ls', ...port, `${name}:`])).toMatchObject({ code: 0 });
    });

    test('trust of it, without a terminal, and where another key is trusted', async () => {
      const place = `sealift://127.0.0.1:${server.port}?pin=${server.pin}`;
      expect((await here.run(['remote', 'rm', 'elsewhere'])).code).toBe(0);
      expect((await here.run(['remote', 'add', 'elsewhere', place])).code).toBe(0);
      const file = 'config/sealift/remotes.toml';
      const other = home.read(file).toString().replace(server.pin, wrong);
      home.write(file, other.replace(`:${server.port}`, ':1'));
      const refused = await hintOf('trust', ...port, 'elsewhere');
      expect(await pasted(refused, /new key: (sealift trust .*), or --add/, '--yes')).toMatchObject({
        code: 0,
      });
      home.write(file, other.replace(`:${server.port}`, ':1'));
      const { events } = await home.runJson(['trust', '--replace', ...port, 'elsewhere']);
      expect(await pasted(events.at(-1)?.['hint'], /, and run: (.*)$/)).toMatchObject({ code: 0 });
      expect(await here.run(['ls', ...port, 'elsewhere:'])).toMatchObject({ code: 0 });
    });

    test('what doctor finds is not trusted', async () => {
      home.write('config/sealift/known_servers', '');
      const { events } = await here.runJson(['doctor', ...port, '127.0.0.1']);
      const findings = events[0]?.['findings'] as { code: string; remedy: string }[];
      const remedy = findings.find(({ code }) => code === 'self-signed')?.remedy;
      expect(await pasted(remedy, /then: (sealift trust .*), or --pin/, '--yes')).toMatchObject({ code: 0 });
      home.write('config/sealift/known_servers', `127.0.0.1:${server.port} ${wrong}\n`);
      const again = await here.runJson(['doctor', ...port, '127.0.0.1']);
      const [mismatch] = again.events[0]?.['findings'] as { remedy: string }[];
      expect(await pasted(mismatch?.remedy, /new: (sealift trust .*)$/, '--yes')).toMatchObject({ code: 0 });
      expect((await here.run(['doctor', ...port, '127.0.0.1'])).code).toBe(0);
    });
  });

  test('a token file is open to others', async () => {
    const file = home.write('work/my token', 'token');
    chmodSync(file, 0o644);
    const { events } = await here.runJson(['ls', '--token-file', 'my token', server.place()]);
    expect(await pasted(events.at(-1)?.['hint'], /^Close it with: (chmod .*)$/)).toMatchObject({ code: 0 });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('a list of revoked certificates is in DER', async ({ skip }) => {
    skip(!hasOpenssl, 'openssl is not installed');
    const [, base64 = ''] = /-----\n([^-]*)-----/.exec(home.read(`work/${ca}/ca.crl`).toString()) ?? [];
    home.write('work/the list', Buffer.from(base64, 'base64'));
    const given = ['--client-ca', `${ca}/ca.pem`, '--crl', 'the list', '--host', '127.0.0.1', '--port', '0'];
    const { code, events } = await home.runJson(['serve', 'crl', ...given]);
    expect(code).toBe(2);
    const made = await pasted(events.at(-1)?.['hint'], /^From DER: (openssl .*) FILE$/, 'made.crl');
    expect(made).toMatchObject({ code: 0 });
    expect(await here.run(['cert', 'show', 'made.crl'])).toMatchObject({ code: 0 });
  });
});
