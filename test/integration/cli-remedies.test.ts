import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, SEALIFT, type ServeProcess } from '../support/cli.ts';

const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
afterAll(() => home.close());

/** Runs the command that a remedy names, as whoever pastes it into a shell. */
async function pasted(hint: unknown, remedy: RegExp) {
  const command = remedy.exec(String(hint))?.[1] ?? 'there is none';
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
});
