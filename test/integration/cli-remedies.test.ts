import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { inThisProcess } from '../cli/run-here.ts';
import { CliHome, SEALIFT } from '../support/cli.ts';

const home = new CliHome();
/** For what needs no process. */
const here = inThisProcess(home);
afterAll(() => home.close());

describe('a remedy is a command that works where it is pasted:', () => {
  const ca = "the CA's";
  const users = 'who may/users.toml';

  beforeAll(async () => {
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
    const command = remedy.exec(String(events.at(-1)?.['hint']))?.[1] ?? 'there is none';
    const [node, program] = SEALIFT.map((word) => `'${word}'`);
    const pasted = command.replace(/^sealift/, `${node} ${program}`);
    expect(await home.startCommand(['sh', '-c', pasted]).ended).toMatchObject({ code: 0 });
  });
});
