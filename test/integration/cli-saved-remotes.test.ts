import { X509Certificate } from 'node:crypto';
import { chmodSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { CreateServerOptions } from '../../src/server/create-server.ts';
import { certificatePin } from '../../src/trust/pins.ts';
import { inThisProcess } from '../cli/run-here.ts';
import { issueAuthority, issueCertificate, type Pair } from '../support/certificates.ts';
import { CliHome } from '../support/cli.ts';
import { serveHere } from '../support/server-here.ts';
import { tokenOf, usersToml } from '../support/test-server.ts';

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

function serve(options: Partial<CreateServerOptions> = { anonymous: 'write' }) {
  return serveHere(home, options);
}

describe('what a saved remote says of itself', () => {
  const other = () => ({ SEALIFT_PIN: OTHER_PIN });

  test('goes before the pin, the CA and the port that hold for all', async () => {
    const certificate = await issueCertificate({ ca: authority });
    const { pin, port, place } = await serve({ anonymous: 'write', ...certificate });
    expect((await here.run(['remote', 'add', 'own', `sealift://${place}?pin=${pin}`])).code).toBe(0);
    const config = home.write('all.toml', `pin = "${OTHER_PIN}"\nca = "${ca}"\nport = 1\n`);
    expect(await here.run(['ls', '--retry', '0', '--config', config, 'own:'])).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect((await here.run(['ls', 'own:'], { env: { ...other(), SEALIFT_PORT: '1' } })).code).toBe(0);
    // Somebody with another key, whom the CA knows.
    expect((await here.run(['remote', 'rm', 'own'])).code).toBe(0);
    const saved = `[remote.own]\naddress = "127.0.0.1:${port}"\npins = ["${OTHER_PIN}"]\n`;
    home.write('config/sealift/remotes.toml', saved);
    expect((await here.run(['ls', 'own:'], { env: { SEALIFT_CA: ca } })).code).toBe(6);
    expect((await here.run(['ls', 'own:'], { env: { SEALIFT_PIN: pin } })).code).toBe(6);
    expect((await here.run(['ls', '--ca', ca, 'own:'])).code).toBe(0);
    expect((await here.run(['ls', '--pin', pin, 'own:'], { env: other() })).code).toBe(0);
  });

  test('goes behind an option of a job', async () => {
    const { pin, place } = await serve();
    expect((await here.run(['remote', 'add', 'worked', `sealift://${place}?pin=${pin}`])).code).toBe(0);
    const job = `[job.j]\ncommand = "get"\nsource = "worked:"\ntarget = "${home.at('got')}"\n`;
    const config = home.write('job.toml', `${job}[job.j.options]\npin = "${OTHER_PIN}"\n`);
    expect((await here.run(['run', '--config', config, 'j', '-r'])).code).toBe(6);
  });

  test('of its pins goes before those that hold for all where trust asks for them, too', async () => {
    const { pin, place } = await serve();
    expect((await here.run(['remote', 'add', 'looked', `sealift://${place}?pin=${pin}`])).code).toBe(0);
    const env = other();
    const trust = (...args: string[]) => here.runJson(['trust', 'looked', ...args], { env });
    expect(await trust()).toMatchObject({ code: 0, events: [{ pin, added: false }] });
    // Neither are they kept with it, nor do they answer for the user.
    expect(await trust('--add')).toMatchObject({ code: 0, events: [{ pin, added: false }] });
    expect(await trust('--pin', OTHER_PIN)).toMatchObject({ code: 6 });
    expect(await trust('--add', '--pin', OTHER_PIN)).toMatchObject({ events: [{ pin }, { pin: OTHER_PIN }] });
    const saved = `[remote.looked]\naddress = "${place}"\npins = ["${OTHER_PIN}"]\n`;
    home.write('config/sealift/remotes.toml', saved);
    const replace = ['trust', '--replace', 'looked'];
    expect((await home.run(replace, { env: { SEALIFT_PIN: pin } })).code).toBe(6);
    expect((await here.run([...replace, '--pin', pin])).code).toBe(0);
    // For one that is called by its address they are what is expected.
    expect((await here.run(['trust', place], { env })).code).toBe(6);
  });

  test('of its token goes before those that hold for all, which are told to others', async () => {
    const usersFile = home.write('tokens.toml', usersToml({ one: {}, two: {} }));
    const { pin, place } = await serve({ usersFile });
    const remote = `address = "${place}"\npins = ["${pin}"]\n`;
    const text = `[remote.kept]\n${remote}token = "${tokenOf('one')}"\n[remote.bare]\n${remote}`;
    chmodSync(home.write('config/sealift/remotes.toml', text), 0o600);
    const wrong = home.write('wrong.token', 'wrong-and-secret');
    chmodSync(wrong, 0o600);
    for (const env of [{ SEALIFT_TOKEN: 'wrong-and-secret' }, { SEALIFT_TOKEN_FILE: wrong }])
      expect(await here.run(['ls', 'kept:'], { env })).toMatchObject({ code: 0, stderr: '' });
    expect((await here.run(['ls', '--token-file', wrong, 'kept:'])).code).toBe(5);
    expect((await here.run(['ls', 'bare:'], { env: { SEALIFT_TOKEN: tokenOf('two') } })).code).toBe(0);
  });

  test('of its client certificate goes before the one that holds for all', async () => {
    const pairs = await Promise.all([issueCertificate({}), issueCertificate({})]);
    const files = pairs.map(({ cert, key }, index) => [
      home.write(`client-${index}.pem`, cert),
      home.write(`client-${index}.key`, key),
    ]);
    const [[cert = '', key = ''] = [], [otherCert, otherKey] = []] = files;
    const own = certificatePin(new X509Certificate(pairs[0].cert));
    const users = `[principals.box]\npermissions = ["list"]\npins = ["${own}"]\n`;
    const { pin, place } = await serve({ usersFile: home.write('users.toml', users) });
    const added = ['remote', 'add', 'shown', `sealift://${place}?pin=${pin}`];
    expect((await here.run([...added, '--cert', cert, '--key', key])).code).toBe(0);
    const env = { SEALIFT_CERT: otherCert, SEALIFT_KEY: otherKey };
    expect((await here.run(['ls', 'shown:'], { env })).code).toBe(0);
    expect((await here.run(['ls', 'shown:', '--cert', cert], { env: { SEALIFT_KEY: key } })).code).toBe(0);
  });
});

describe('what holds for all is not copied into a saved remote:', () => {
  const remotes = () => home.read('config/sealift/remotes.toml').toString();

  test('the CA', async () => {
    const { place } = await serve({ anonymous: 'write', ...(await issueCertificate({ ca: authority })) });
    const [first, second] = ['first', 'second'].map((name) => home.write(`${name}-ca.pem`, authority.cert));
    const config = home.write('ca.toml', `ca = "${first}"\n`);
    const add = ['remote', 'add', 'signed', `sealift://${place}`];
    expect((await here.run([...add, '--config', config])).code).toBe(0);
    rmSync(first ?? '');
    home.write('ca.toml', `ca = "${second}"\n`);
    expect((await here.run(['ls', '--config', config, 'signed:'])).code).toBe(0);
    // What is said for the remote is kept with it.
    expect((await here.run([...add, '--ca', second ?? ''])).code).toBe(0);
    expect((await here.run(['ls', 'signed:'])).code).toBe(0);
  });

  test('the client certificate, but whole where half of it is said for the remote', async () => {
    const { cert, key } = await issueCertificate({});
    const files = [home.write('whole.pem', cert), home.write('whole.key', key)] as const;
    const own = certificatePin(new X509Certificate(cert));
    const users = `[principals.box]\npermissions = ["list"]\npins = ["${own}"]\n`;
    const { pin, place } = await serve({ usersFile: home.write('whole.toml', users) });
    const add = ['remote', 'add', 'shown', `sealift://${place}?pin=${pin}`];
    const env = { SEALIFT_CERT: files[0], SEALIFT_KEY: files[1] };
    expect((await here.run(add, { env })).code).toBe(0);
    expect(remotes()).not.toContain('whole');
    expect((await here.run(['ls', 'shown:'], { env })).code).toBe(0);
    expect((await here.run([...add, '--cert', files[0]], { env: { SEALIFT_KEY: files[1] } })).code).toBe(0);
    expect((await here.run(['ls', 'shown:'])).code).toBe(0);
  });
});

test('the CA of a saved remote is read only where no pin decides', async () => {
  const { pin, place } = await serve();
  const gone = `[remote.gone]\naddress = "${place}"\nca = "${home.at('gone.pem')}"\n`;
  home.write('config/sealift/remotes.toml', `${gone}pins = ["${pin}"]\n`);
  expect(await here.run(['ls', 'gone:'])).toMatchObject({ code: 0, stderr: '' });
  home.write('config/sealift/remotes.toml', gone);
  expect((await here.run(['ls', 'gone:'])).code).toBe(2);
});

describe('the file of saved remotes', () => {
  const file = 'config/sealift/remotes.toml';
  const saved = '[remote.kept]\naddress = "127.0.0.1:1"\n';

  test.each([
    ['a key that is not known', `default = "kept"\n${saved}`, '"default" is not a known key'],
    ['a table of another name', `${saved}[remotes.other]\naddress = "127.0.0.1:2"\n`, '"remotes" is not'],
    ['what is no table', 'remote = "kept"\n', 'remote is no table'],
  ])('with %s is refused, and stays as it is', async (_, text, message) => {
    home.write(file, text);
    for (const command of [['list'], ['rm', 'kept'], ['add', 'other', 'sealift://127.0.0.1:1']]) {
      const { code, stderr } = await here.run(['remote', ...command]);
      expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
    }
    expect(home.read(file).toString()).toBe(text);
  });

  test('is not open to others where a token stands in it', async () => {
    const { place } = await serve();
    const open = async (text: string) => {
      chmodSync(home.write(file, text), 0o644);
      return here.run(['ls', '--insecure', 'open:']);
    };
    const first = `[remote.open]\naddress = "${place}"\n`;
    expect(await open(first)).toMatchObject({ code: 0 });
    const other = '[[remote.open.also]]\naddress = "127.0.0.1:1"\ntoken = "secret"\n';
    for (const text of [`${first}token = "secret"\n`, `${first}${other}`]) {
      const { code, stderr } = await open(text);
      expect(code).toBe(2);
      expect(stderr).toContain(
        `is open to other users (mode 0644). Close it with: chmod 600 ${home.at(file)}`,
      );
      expect((await here.run(['remote', 'add', 'more', 'sealift://127.0.0.1:1'])).code).toBe(2);
    }
  });
});

describe('a name that is saved already', () => {
  beforeAll(() => rmSync(home.at('config/sealift/remotes.toml')));
  const users = () => ({ usersFile: home.write('taken.toml', usersToml({ one: {}, two: {} })) });
  const add = (name: string, { place, pin }: { place: string; pin: string }, token?: string) => {
    const url = `sealift://${place}?pin=${pin}`;
    return token === undefined
      ? home.run(['remote', 'add', name, url])
      : home.run(['remote', 'add', name, '-'], { input: `${url}&token=${tokenOf(token)}` });
  };

  test('is saved anew for the same server, and it is told what is gone', async () => {
    const server = await serve(users());
    expect((await add('taken', server, 'one')).stderr).not.toContain('in place of');
    const { code, stderr } = await add('taken', server, 'two');
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`in place of the one for ${server.place}, whose token is forgotten`),
    });
    expect((await add('taken', server, 'two')).stderr).not.toContain('forgotten');
    const url = `sealift://${server.place}?pin=${server.pin}`;
    const { events } = await here.runJson(['remote', 'add', 'taken', url], {
      env: { SEALIFT_TOKEN: tokenOf('one') },
    });
    expect(events.at(-1)).toMatchObject({ replaced: [{ address: server.place, login: 'token' }] });
  });

  test('is not taken from another server, whose token stands nowhere else', async () => {
    const [first, second] = await Promise.all([serve(users()), serve(users())]);
    expect((await add('kept', first, 'one')).code).toBe(0);
    const before = home.read('config/sealift/remotes.toml').toString();
    const { code, stderr } = await add('kept', second, 'two');
    expect({ code, stderr }).toMatchObject({
      code: 10,
      stderr: expect.stringContaining('sealift remote rm kept'),
    });
    expect(home.read('config/sealift/remotes.toml').toString()).toBe(before);
    // With the same token, nothing is lost.
    const env = { SEALIFT_TOKEN: tokenOf('one') };
    const elsewhere = ['remote', 'add', 'kept', `sealift://${second.place}`, '--pin', second.pin];
    expect((await here.run(elsewhere, { env })).code).toBe(0);
    home.write('config/sealift/remotes.toml', before);
    // By its key it is the same, wherever it is now.
    const moved = [...elsewhere.slice(0, 3), `sealift://localhost:${first.port}`, '--pin', first.pin];
    expect((await here.run(moved, { env: { SEALIFT_TOKEN: tokenOf('two') } })).code).toBe(0);
    home.write('config/sealift/remotes.toml', before.replace(first.place, '127.0.0.1:1'));
    expect((await add('kept', first, 'two')).code).toBe(0);
  });
});
